// Running extremes, log-sum-exps and decayed sums along a dimension, and reductions of segments.
//
// What is joined is a state that knows how to be joined with the one behind it, in this order. A
// block takes a row: each thread joins what lies in 16 bytes, the warps theirs by shuffles, and
// what all before it made is carried to the next part of the row. Columns are a thread's each.

// The largest so far (MIN: the least) and the last place that it stands; NaN beats everything.
template <class A, bool MIN> struct Extreme {
    A v;
    i64 at;  // -1: nothing yet
    __device__ static Extreme none() { return {A(0), -1}; }
    __device__ Extreme then(const Extreme& b) const {
        if (at < 0) return b;
        if (b.at < 0) return *this;
        if (v != v) return b.v != b.v ? b : *this;
        return b.v != b.v || (MIN ? b.v <= v : b.v >= v) ? b : *this;
    }
    __device__ Extreme of(int lane) const {
        return {__shfl_sync(0xffffffffu, v, lane), __shfl_sync(0xffffffffu, at, lane)};
    }
};

__device__ inline float log1p_(float x) { return log1pf(x); }
__device__ inline double log1p_(double x) { return log1p(x); }

template <class A> struct LogSum {  // as NumPy's logaddexp
    A v;
    __device__ static LogSum none() { return {-infinity<A>()}; }
    __device__ LogSum then(const LogSum& b) const {
        if (v == b.v) return {v + A(0.693147180559945309417232121458176568)};
        A gap = v - b.v;
        if (gap > A(0)) return {v + log1p_(exp_(-gap))};
        return {gap <= A(0) ? b.v + log1p_(exp_(gap)) : gap};
    }
    __device__ LogSum of(int lane) const { return {__shfl_sync(0xffffffffu, v, lane)}; }
};

template <class A> struct Decayed {  // what is in front of it counts `part` times
    A part, sum;
    __device__ static Decayed none() { return {A(1), A(0)}; }
    __device__ Decayed then(const Decayed& b) const {
        return {part * b.part, b.sum + b.part * sum};
    }
    __device__ Decayed of(int lane) const {
        return {__shfl_sync(0xffffffffu, part, lane), __shfl_sync(0xffffffffu, sum, lane)};
    }
};

// put(i, states) is called with what get(i, states) gave for the elements i, i + 1, ... of a row,
// each joined with all before it. Elements beyond the row are `none`.
template <class S, int EACH, class Get, class Put>
__device__ void scan_of_row(i64 width, Get get, Put put) {
    __shared__ S totals[THREADS / 32];
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warps = blockDim.x >> 5;
    S carry = S::none();
    for (i64 first = 0; first < width; first += (i64)blockDim.x * EACH) {
        const i64 at = first + (i64)threadIdx.x * EACH;
        S mine[EACH];
        get(at, mine);
#pragma unroll
        for (int e = 1; e < EACH; e++) mine[e] = mine[e - 1].then(mine[e]);
        S all = mine[EACH - 1];
        for (int step = 1; step < 32; step <<= 1) {
            S before = all.of(lane >= step ? lane - step : lane);
            if (lane >= step) all = before.then(all);
        }
        S before = all.of(lane > 0 ? lane - 1 : 0);
        if (lane == 0) before = S::none();
        __syncthreads();  // the last part's totals may not be read yet
        if (lane == 31) totals[warp] = all;
        __syncthreads();
        S start = carry;
        for (int w = 0; w < warps; w++) {
            if (w == warp) start = carry;
            carry = carry.then(totals[w]);
        }
        before = start.then(before);
#pragma unroll
        for (int e = 0; e < EACH; e++) mine[e] = before.then(mine[e]);
        put(at, mine);
    }
}

template <class T> __device__ inline bool whole(const T* x, i64 at, i64 width) {
    return even(x) && at + Pack<T>::count <= width;
}
template <class T> __device__ inline void fetch(const T* x, i64 at, i64 width, Pack<T>& got) {
    if (whole(x, at, width)) {
        got = *(const Pack<T>*)(x + at);
    } else {
        for (int e = 0; e < Pack<T>::count; e++)
            if (at + e < width) got.at[e] = x[at + e];
    }
}
template <class T> __device__ inline void store(T* y, i64 at, i64 width, const Pack<T>& made_) {
    if (whole(y, at, width)) {
        *(Pack<T>*)(y + at) = made_;
    } else {
        for (int e = 0; e < Pack<T>::count; e++)
            if (at + e < width) y[at + e] = made_.at[e];
    }
}

__device__ inline i64 wide(i64 x) { return x; }
__device__ inline void narrow(i64 x, i64& y) { y = x; }
template <> struct Wide<i64> { typedef i64 type; };

// States of the elements of a row from `at` on, each by make(value, place); and back their values.
template <class T, class S, class Make>
__device__ inline void load_states(const T* x, i64 at, i64 width, S(&s)[Pack<T>::count],
                                   Make make) {
    Pack<T> got;
    fetch(x, at, width, got);
    for (int e = 0; e < Pack<T>::count; e++)
        s[e] = at + e < width ? make(wide(got.at[e]), at + e) : S::none();
}
template <class T, class S>
__device__ inline void store_values(T* y, i64 at, i64 width, const S(&s)[Pack<T>::count]) {
    Pack<T> values;
    for (int e = 0; e < Pack<T>::count; e++) narrow(s[e].v, values.at[e]);
    store(y, at, width, values);
}

// -- extremes -----------------------------------------------------------------------------------

template <class T, bool MIN>
__device__ void extremes_of_row(const T* x, T* y, i64* index, i64 width) {
    typedef typename Wide<T>::type A;
    typedef Extreme<A, MIN> S;
    const int count = Pack<T>::count;
    x += blockIdx.x * width;
    y += blockIdx.x * width;
    index += blockIdx.x * width;
    scan_of_row<S, count>(
        width,
        [&](i64 at, S(&s)[count]) {
            load_states(x, at, width, s, [&](A v, i64 i) { return S{v, i}; });
        },
        [&](i64 at, const S(&s)[count]) {
            store_values(y, at, width, s);
            for (int e = 0; e < count; e++)
                if (at + e < width) index[at + e] = s[e].at;
        });
}

template <class T, bool MIN>
__device__ void extremes_of_columns(const T* x, T* y, i64* index, i64 outer, i64 width,
                                    i64 inner) {
    typedef Extreme<typename Wide<T>::type, MIN> S;
    for (i64 i = thread_number(); i < outer * inner; i += thread_count()) {
        const i64 first = i / inner * width * inner + i % inner;
        S s = S::none();
        for (i64 k = 0; k < width; k++) {
            s = s.then(S{wide(x[first + k * inner]), k});
            narrow(s.v, y[first + k * inner]);
            index[first + k * inner] = s.at;
        }
    }
}

// Integers and bits have one entry each, with float32's, of which an array says the device.
#define EXTREMES(name, MIN) \
    KERNEL(name##_rows, (const T* x, T* y, i64* index, i64 width), \
           extremes_of_row<T, MIN>(x, y, index, width)) \
    KERNEL(name##_columns, \
           (const T* x, T* y, i64* index, i64 outer, i64 width, i64 inner), \
           extremes_of_columns<T, MIN>(x, y, index, outer, width, inner)) \
    KERNEL_F32(name##_ints_rows, \
               (const T* like, const i64* x, i64* y, i64* index, i64 width), \
               extremes_of_row<i64, MIN>(x, y, index, width)) \
    KERNEL_F32(name##_ints_columns, \
               (const T* like, const i64* x, i64* y, i64* index, i64 outer, i64 width, \
                i64 inner), \
               extremes_of_columns<i64, MIN>(x, y, index, outer, width, inner))
EXTREMES(cummax, false)
EXTREMES(cummin, true)

// -- log-sum-exps -------------------------------------------------------------------------------

template <class T> __device__ void log_sums_of_row(const T* x, T* y, i64 width) {
    typedef typename Wide<T>::type A;
    typedef LogSum<A> S;
    const int count = Pack<T>::count;
    x += blockIdx.x * width;
    y += blockIdx.x * width;
    scan_of_row<S, count>(
        width,
        [&](i64 at, S(&s)[count]) {
            load_states(x, at, width, s, [&](A v, i64) { return S{v}; });
        },
        [&](i64 at, const S(&s)[count]) { store_values(y, at, width, s); });
}

template <class T>
__device__ void log_sums_of_columns(const T* x, T* y, i64 outer, i64 width, i64 inner) {
    typedef LogSum<typename Wide<T>::type> S;
    for (i64 i = thread_number(); i < outer * inner; i += thread_count()) {
        const i64 first = i / inner * width * inner + i % inner;
        S s = S::none();
        for (i64 k = 0; k < width; k++) {
            s = s.then(S{wide(x[first + k * inner])});
            narrow(s.v, y[first + k * inner]);
        }
    }
}

KERNEL(logcumsumexp_rows, (const T* x, T* y, i64 width), log_sums_of_row(x, y, width))
KERNEL(logcumsumexp_columns, (const T* x, T* y, i64 outer, i64 width, i64 inner),
       log_sums_of_columns(x, y, outer, width, inner))

// -- decayed sums -------------------------------------------------------------------------------

// The element at place k of a line in steps, counted from the end if `reverse`: what it adds, and
// e^(level here - level of the one before) as the part that is left of what is in front.
template <class T>
__device__ inline Decayed<typename Wide<T>::type> decayed_at(const T* g, const T* level, i64 k,
                                                             i64 width, i64 step, bool reverse) {
    typedef typename Wide<T>::type A;
    const i64 i = (reverse ? width - 1 - k : k) * step;
    A part = A(1);
    if (k > 0) {
        const A here = wide(level[i]), before = wide(level[reverse ? i + step : i - step]);
        if (here != before) part = exp_(reverse ? here - before : before - here);
    }
    return {part, wide(g[i])};
}

template <class T>
__device__ void decayed_of_row(const T* g, const T* level, T* y, i64 width, bool reverse) {
    typedef Decayed<typename Wide<T>::type> S;
    const int count = 4;
    g += blockIdx.x * width;
    level += blockIdx.x * width;
    y += blockIdx.x * width;
    scan_of_row<S, count>(
        width,
        [&](i64 at, S(&s)[count]) {
            for (int e = 0; e < count; e++)
                s[e] = at + e < width ? decayed_at(g, level, at + e, width, 1, reverse)
                                      : S::none();
        },
        [&](i64 at, const S(&s)[count]) {
            for (int e = 0; e < count; e++)
                if (at + e < width) narrow(s[e].sum, y[reverse ? width - 1 - at - e : at + e]);
        });
}

template <class T>
__device__ void decayed_of_columns(const T* g, const T* level, T* y, i64 outer, i64 width,
                                   i64 inner, bool reverse) {
    typedef Decayed<typename Wide<T>::type> S;
    for (i64 i = thread_number(); i < outer * inner; i += thread_count()) {
        const i64 first = i / inner * width * inner + i % inner;
        S s = S::none();
        for (i64 k = 0; k < width; k++) {
            s = s.then(decayed_at(g + first, level + first, k, width, inner, reverse));
            narrow(s.sum, y[first + (reverse ? width - 1 - k : k) * inner]);
        }
    }
}

KERNEL(decayed_sum_rows, (const T* g, const T* level, T* y, i64 width, i64 reverse),
       decayed_of_row(g, level, y, width, reverse != 0))
KERNEL(decayed_sum_columns,
       (const T* g, const T* level, T* y, i64 outer, i64 width, i64 inner, i64 reverse),
       decayed_of_columns(g, level, y, outer, width, inner, reverse != 0))

// -- segments -----------------------------------------------------------------------------------

struct Product {
    template <class A> __device__ A operator()(A a, A b) const { return a * b; }
};
struct Least {  // NaN wins
    template <class A> __device__ A operator()(A a, A b) const { return a < b || a != a ? a : b; }
};

// Elements of one column of x (rows, n, inner) between two ends, by `lanes` threads; what `join` of
// them makes of it goes through `last(value, number of elements)`.
template <class T, class F>
__device__ void segments_by(const T* x, const i64* ends, T* y, i64 rows, i64 count, i64 n,
                            i64 inner, bool warps, F f, typename Wide<T>::type none, bool mean,
                            bool start, typename Wide<T>::type initial) {
    typedef typename Wide<T>::type A;
    const i64 all = rows * count * inner;
    const i64 lane = warps ? threadIdx.x & 31 : 0, lanes = warps ? 32 : 1;
    i64 i = warps ? thread_number() >> 5 : thread_number();
    const i64 step = warps ? thread_count() >> 5 : thread_count();
    for (; i < all; i += step) {
        const i64 segment = i / inner, row = segment / count;
        i64 first = segment % count ? ends[segment - 1] : 0, end = ends[segment];
        first = first < 0 ? 0 : first;
        end = end < n ? end : n;
        const T* column = x + row * n * inner + i % inner;
        A v = none;
        for (i64 k = first + lane; k < end; k += lanes) v = f(v, wide(column[k * inner]));
        if (warps) v = of_warp(v, f);
        if (lane == 0) {
            const bool some = first < end;
            if (start) v = some ? f(v, initial) : initial;
            if (mean) v = some ? v / A(end - first) : start ? v : not_a_number<A>();
            narrow(v, y[i]);
        }
    }
}

template <class T>
__device__ void segments_of(const T* x, const i64* ends, T* y, i64 rows, i64 count, i64 n,
                            i64 inner, i64 warps, i64 kind, i64 start, double initial) {
    typedef typename Wide<T>::type A;
#define BY(F, none, mean) \
    segments_by(x, ends, y, rows, count, n, inner, warps != 0, F(), none, mean, start != 0, \
                A(initial))
    if (kind < 2) BY(Add, A(0), kind == 1);
    else if (kind == 2) BY(Product, A(1), false);
    else if (kind == 3) BY(Max, -infinity<A>(), false);
    else BY(Least, infinity<A>(), false);
#undef BY
}

KERNEL(segments,
       (const T* x, const i64* ends, T* y, i64 rows, i64 count, i64 n, i64 inner, i64 warps,
        i64 kind, i64 start, double initial),
       segments_of(x, ends, y, rows, count, n, inner, warps, kind, start, initial))

// -- bits ---------------------------------------------------------------------------------------

struct Differ {
    __device__ i64 operator()(i64 a, i64 b) const { return a ^ b; }
};

__device__ inline void bits_of_row(const i64* x, i64* y, i64 width) {
    x += blockIdx.x * width;
    i64 v = 0;
    for (i64 k = threadIdx.x; k < width; k += blockDim.x) v ^= x[k];
    v = of_block(v, Differ(), (i64)0);
    if (threadIdx.x == 0) y[blockIdx.x] = v;
}

KERNEL_F32(bits, (const T* like, const i64* x, i64* y, i64 width), bits_of_row(x, y, width))
