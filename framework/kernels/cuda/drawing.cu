// Random numbers and dropout, with the bits of Philox-4x64 with 10 rounds (Salmon et al., "Parallel
// random numbers: as easy as 1, 2, 3", SC'11): the same numbers as the CPU's generator. A thread
// makes a block of four words, eight 32-bit numbers.

struct Words {
    u64 at[4];
    __device__ u32 half(int k) const { return (u32)(at[k >> 1] >> (32 * (k & 1))); }
};

// NumPy counts up before it draws, hence + 1.
__device__ inline Words philox(u64 block, u64 key) {
    const u64 m0 = 0xD2E7470EE14C6C93ull, m1 = 0xCA5A826395121157ull;
    u64 c0 = block + 1, c1 = 0, c2 = 0, c3 = 0, k0 = key, k1 = 0;
#pragma unroll
    for (int round = 0; round < 10; round++) {
        u64 h0 = __umul64hi(m0, c0), h1 = __umul64hi(m1, c2), l0 = m0 * c0, l1 = m1 * c2;
        c0 = h1 ^ c1 ^ k0;
        c1 = l1;
        c2 = h0 ^ c3 ^ k1;
        c3 = l0;
        k0 += 0x9E3779B97F4A7C15ull;
        k1 += 0xBB67AE8584CAA73Bull;
    }
    return Words{{c0, c1, c2, c3}};
}

// x times scale where the 32-bit numbers are at least `least`, x times zero elsewhere.
template <class T>
__device__ void dropout_of(const T* x, T* y, i64 n, i64 key, i64 offset, i64 least, double scale) {
    typedef typename Wide<T>::type A;
    const int count = Pack<T>::count;
    bool packed = even(x) && even(y);
    for (i64 b = thread_number(); b < (n + 7) / 8; b += thread_count()) {
        Words words = philox((u64)(offset + b), (u64)key);
        auto kept = [&](A v, int k) { return v * (words.half(k) >= (u32)least ? A(scale) : A(0)); };
        if (packed && b * 8 + 8 <= n) {
#pragma unroll
            for (int first = 0; first < 8; first += count) {
                Pack<T> v = *(const Pack<T>*)(x + b * 8 + first);
#pragma unroll
                for (int j = 0; j < count; j++) narrow(kept(wide(v.at[j]), first + j), v.at[j]);
                *(Pack<T>*)(y + b * 8 + first) = v;
            }
        } else {
#pragma unroll
            for (int k = 0; k < 8; k++)  // a loop that ended early would put the words into memory
                if (b * 8 + k < n) narrow(kept(wide(x[b * 8 + k]), k), y[b * 8 + k]);
        }
    }
}

KERNEL(dropout, (const T* x, T* y, i64 n, i64 key, i64 offset, i64 least, double scale),
       dropout_of<T>(x, y, n, key, offset, least, scale))

// -- numbers ------------------------------------------------------------------------------------

// Products and sums that the compiler must not fuse: the CPU rounds twice.
__device__ inline float product(float a, float b) { return __fmul_rn(a, b); }
__device__ inline double product(double a, double b) { return __dmul_rn(a, b); }
__device__ inline float total(float a, float b) { return __fadd_rn(a, b); }
__device__ inline double total(double a, double b) { return __dadd_rn(a, b); }

__device__ inline double unit53(u64 word) {
    return (double)(i64)(word >> 11) * (1.0 / 9007199254740992.0);
}
// How many numbers a block gives, and the k-th of them in [0, 1): of 53 bits for float64, else of
// the upper `bits` of 32.
template <class A> struct Unit;
template <> struct Unit<float> {
    static const int count = 8;
    __device__ static float of(const Words& w, int k, i64 bits) {
        return (float)(w.half(k) >> (32 - bits)) * __uint_as_float((u32)(127 - bits) << 23);
    }
};
template <> struct Unit<double> {
    static const int count = 4;
    __device__ static double of(const Words& w, int k, i64) { return unit53(w.at[k]); }
};

// y[at + k] = v[k], as far as there are n elements; in packs where that is possible.
template <class T, int N> __device__ inline void put_run(const T (&v)[N], T* y, i64 at, i64 n) {
    const int count = Pack<T>::count;
    if constexpr (count <= N) {
        if (at + N <= n && even(y + at)) {
#pragma unroll
            for (int first = 0; first < N; first += count) {
                Pack<T> made_;
#pragma unroll
                for (int j = 0; j < count; j++) made_.at[j] = v[first + j];
                *(Pack<T>*)(y + at + first) = made_;
            }
            return;
        }
    }
#pragma unroll
    for (int k = 0; k < N; k++)
        if (at + k < n) y[at + k] = v[k];
}

// low + width u.
template <class T>
__device__ void uniform_of(T* y, i64 n, i64 key, i64 offset, i64 bits, double width, double low) {
    typedef typename Wide<T>::type A;
    const int count = Unit<A>::count;
    for (i64 b = thread_number(); b < (n + count - 1) / count; b += thread_count()) {
        Words words = philox((u64)(offset + b), (u64)key);
        T made_[count];
#pragma unroll
        for (int k = 0; k < count; k++) {
            A u = Unit<A>::of(words, k, bits);
            narrow(total(product(u, A(width)), A(low)), made_[k]);
        }
        put_run(made_, y, b * count, n);
    }
}

__device__ inline void turned(float at, float& s, float& c) { s = sinf(at), c = cosf(at); }
__device__ inline void turned(double at, double& s, double& c) { s = sin(at), c = cos(at); }
__device__ inline float log1p_(float x) { return log1pf(x); }
__device__ inline double log1p_(double x) { return log1p(x); }

// mean + std z, by Box and Muller. Number i of the first half of the stream's numbers gives the
// radius and that of the second half the angle of element i and element i + pairs.
template <class T>
__device__ void normal_of(T* y, i64 n, i64 key, i64 offset, double std, double mean) {
    typedef typename Wide<T>::type A;
    const int count = Unit<A>::count;
    i64 pairs = (n + 1) / 2;
    for (i64 b = thread_number(); b < (pairs + count - 1) / count; b += thread_count()) {
        Words radii = philox((u64)(offset + b), (u64)key), angles = radii;
        i64 known = -1;
        for (int k = 0; k < count && b * count + k < pairs; k++) {
            i64 i = b * count + k, other = pairs + i;
            if (other / count != known) {
                known = other / count;
                angles = philox((u64)(offset + known), (u64)key);
            }
            A u = Unit<A>::of(radii, k, 24);
            A radius = sqrt_(A(-2) * log1p_(-u)), s, c;
            turned(A(6.283185307179586) * Unit<A>::of(angles, (int)(other % count), 24), s, c);
            narrow(total(product(product(radius, c), A(std)), A(mean)), y[i]);
            if (other < n) narrow(total(product(product(radius, s), A(std)), A(mean)), y[other]);
        }
    }
}

// Words of 64 bits: as they are for range 0, else low + word % range.
__device__ inline void integers_of(i64* y, i64 n, i64 key, i64 offset, i64 low, i64 range) {
    for (i64 b = thread_number(); b < (n + 3) / 4; b += thread_count()) {
        Words words = philox((u64)(offset + b), (u64)key);
        i64 made_[4];
#pragma unroll
        for (int k = 0; k < 4; k++) {
            u64 w = range ? words.at[k] % (u64)range : words.at[k];
            made_[k] = (i64)(w + (u64)low);
        }
        put_run(made_, y, b * 4, n);
    }
}

// 1 where a number of 53 bits is below the chance, which is that of each element or (null) one; the
// chances outside of [0, 1] are counted.
template <class T>
__device__ void bernoulli_of(const T* p, T* y, i64* bad, i64 n, i64 key, i64 offset,
                             double chance) {
    typedef typename Wide<T>::type A;
    for (i64 b = thread_number(); b < (n + 3) / 4; b += thread_count()) {
        Words words = philox((u64)(offset + b), (u64)key);
        T made_[4];
#pragma unroll
        for (int k = 0; k < 4; k++) {
            i64 i = b * 4 + k;
            double limit = p && i < n ? (double)wide(p[i]) : chance;
            if (!(limit >= 0 && limit <= 1)) atomicAdd((u64*)bad, (u64)1);
            narrow(unit53(words.at[k]) < limit ? A(1) : A(0), made_[k]);
        }
        put_run(made_, y, b * 4, n);
    }
}

KERNEL(uniform, (T* y, i64 n, i64 key, i64 offset, i64 bits, double width, double low),
       uniform_of(y, n, key, offset, bits, width, low))
KERNEL(normal, (T* y, i64 n, i64 key, i64 offset, double std, double mean),
       normal_of(y, n, key, offset, std, mean))
KERNEL_F32(integers, (const T* like, i64* y, i64 n, i64 key, i64 offset, i64 low, i64 range),
           integers_of(y, n, key, offset, low, range))
KERNEL(bernoulli, (const T* like, const T* p, T* y, i64* bad, i64 n, i64 key, i64 offset,
                   double chance),
       bernoulli_of(p, y, bad, n, key, offset, chance))
