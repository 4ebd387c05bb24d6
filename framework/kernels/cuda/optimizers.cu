// Gradients of a scaled loss and updates of parameters, in one pass, in place: SGD, Adam, AdamW,
// as `optim` computes them; of one parameter, or of many in one launch.

template <class A> struct Gradient {
    A decay, sign;
    __device__ A operator()(A g, A p) const {
        return g * sign + (decay != A(0) ? p * decay : A(0));
    }
};

template <class T>
__device__ void sgd_of(T* p, const T* g, T* buffer, i64 n, i64 at, i64 step, double lr,
                       double momentum, double fresh, double decay, i64 maximize, i64 first,
                       i64 nesterov) {
    typedef typename Wide<T>::type A;
    Gradient<A> gradient = {A(decay), maximize ? A(-1) : A(1)};
    const T* const in[3] = {p, g, buffer ? buffer : p};
    if (!buffer) {
        rewrite(in, p, n, at, step, [&](i64, const A* v) {
            return v[0] - gradient(v[1], v[0]) * A(lr);
        });
        return;
    }
    // One walk: a second one would read everything again, which no cache holds.
    const int count = Pack<T>::count;
    auto update = [&](T& pv, T gv, T& bv) {
        A x = wide(pv), d = gradient(wide(gv), x);
        narrow(first ? d : wide(bv) * A(momentum) + d * A(fresh), bv);
        A moved = nesterov ? wide(bv) * A(momentum) + d : wide(bv);
        narrow(x - moved * A(lr), pv);
    };
    bool packed = even(p) && even(g) && even(buffer);
    i64 packs = packed ? n / count : 0;
    for (i64 q = at; q < packs; q += step) {
        Pack<T> pv = ((Pack<T>*)p)[q], gv = ((const Pack<T>*)g)[q], bv = ((Pack<T>*)buffer)[q];
#pragma unroll
        for (int j = 0; j < count; j++) update(pv.at[j], gv.at[j], bv.at[j]);
        ((Pack<T>*)p)[q] = pv;
        ((Pack<T>*)buffer)[q] = bv;
    }
    for (i64 i = packs * count + at; i < n; i += step) update(p[i], g[i], buffer[i]);
}

// `largest` is null but for amsgrad. `shrink` is 1 - lr decay of AdamW, else 1.
template <class T>
__device__ void adam_of(T* p, const T* g, T* mean, T* square, T* largest, i64 n, i64 at,
                        i64 step, double fresh1, double beta2, double fresh2, double decay,
                        double root, double eps, double lr, double shrink, i64 maximize) {
    typedef typename Wide<T>::type A;
    const int count = Pack<T>::count;
    Gradient<A> gradient = {A(decay), maximize ? A(-1) : A(1)};
    auto update = [&](T& pv, T gv, T& mv, T& sv, T* top) {
        A x = wide(pv), d = gradient(wide(gv), x), m = wide(mv), s = wide(sv);
        m += (d - m) * A(fresh1);
        s = s * A(beta2) + d * d * A(fresh2);
        narrow(m, mv);
        narrow(s, sv);
        if (top) {
            A t = wide(*top);
            s = s > t || s != s ? s : t;
            narrow(s, *top);
        }
        narrow(x * A(shrink) - m / (sqrt_(s) / A(root) + A(eps)) * A(lr), pv);
    };
    bool packed = even(p) && even(g) && even(mean) && even(square) && even(largest);
    i64 packs = packed ? n / count : 0;
    for (i64 q = at; q < packs; q += step) {
        Pack<T> pv = ((Pack<T>*)p)[q], gv = ((const Pack<T>*)g)[q], mv = ((Pack<T>*)mean)[q],
                sv = ((Pack<T>*)square)[q], top = largest ? ((Pack<T>*)largest)[q] : pv;
#pragma unroll
        for (int j = 0; j < count; j++)
            update(pv.at[j], gv.at[j], mv.at[j], sv.at[j], largest ? &top.at[j] : nullptr);
        ((Pack<T>*)p)[q] = pv;
        ((Pack<T>*)mean)[q] = mv;
        ((Pack<T>*)square)[q] = sv;
        if (largest) ((Pack<T>*)largest)[q] = top;
    }
    for (i64 i = packs * count + at; i < n; i += step)
        update(p[i], g[i], mean[i], square[i], largest ? largest + i : nullptr);
}

// A table of many parameters has a line for each: K addresses (0: none), the number of elements and
// the number of its first block. A block has CHUNK elements of one of them.
const int CHUNK = 1 << 14;

template <class T, int K> struct Share {
    T* at[K];
    i64 count;
    __device__ Share(const i64* table, i64 lines) {
        i64 low = 0, high = lines - 1;
        while (low < high) {  // the last line whose first block is not after this one
            i64 middle = (low + high + 1) / 2;
            if (table[middle * (K + 2) + K + 1] <= (i64)blockIdx.x) low = middle;
            else high = middle - 1;
        }
        const i64* line = table + low * (K + 2);
        i64 start = ((i64)blockIdx.x - line[K + 1]) * CHUNK;
        count = line[K] - start < CHUNK ? line[K] - start : CHUNK;
        for (int k = 0; k < K; k++) at[k] = line[k] ? (T*)(u64)line[k] + start : nullptr;
    }
};

#define SGD double lr, double momentum, double fresh, double decay, i64 maximize, i64 first, \
    i64 nesterov
#define SGD_GIVEN lr, momentum, fresh, decay, maximize, first, nesterov
#define ADAM double fresh1, double beta2, double fresh2, double decay, double root, double eps, \
    double lr, double shrink, i64 maximize
#define ADAM_GIVEN fresh1, beta2, fresh2, decay, root, eps, lr, shrink, maximize

KERNEL(sgd, (T* p, const T* g, T* buffer, i64 n, SGD),
       sgd_of(p, g, buffer, n, thread_number(), thread_count(), SGD_GIVEN))
KERNEL(sgd_many, (const T* like, const i64* table, i64 lines, SGD),
       Share<T, 3> s(table, lines);
       sgd_of(s.at[0], s.at[1], s.at[2], s.count, threadIdx.x, blockDim.x, SGD_GIVEN))
KERNEL(adam, (T* p, const T* g, T* mean, T* square, T* largest, i64 n, ADAM),
       adam_of(p, g, mean, square, largest, n, thread_number(), thread_count(), ADAM_GIVEN))
KERNEL(adam_many, (const T* like, const i64* table, i64 lines, ADAM),
       Share<T, 5> s(table, lines);
       adam_of(s.at[0], s.at[1], s.at[2], s.at[3], s.at[4], s.count, threadIdx.x, blockDim.x,
               ADAM_GIVEN))

// Gradients over the scale; `found` becomes 1 if one is not finite.
template <class T>
__device__ void unscale_of(T* g, i64 n, const float* scale, float* found) {
    typedef typename Wide<T>::type A;
    A inverse = A(1.0 / (double)*scale);
    bool bad = false;
    const T* const in[1] = {g};
    rewrite(in, g, n, threadIdx.x, blockDim.x, [&](i64, const A* v) {
        if (!(v[0] - v[0] == A(0))) bad = true;
        return v[0] * inverse;
    });
    if (bad) *found = 1.0f;
}
KERNEL(unscale_many,
       (const T* like, const i64* table, i64 lines, const float* scale, float* found),
       Share<T, 1> s(table, lines);
       unscale_of(s.at[0], s.count, scale, found))
