// What the kernels share: four floating types, 16-byte accesses, sums over a warp and a block.
//
// No header is included: the compiler at run time has none that it could be sure of, and the same
// text is compiled as host C++ by the tests (tests/framework/cuda/host.h). float16 and bfloat16 are
// bits that are widened to float32, in which everything is computed and added up.

typedef long long i64;
typedef unsigned int u32;
typedef unsigned long long u64;

struct alignas(2) f16 { unsigned short bits; };
struct alignas(2) bf16 { unsigned short bits; };

__device__ inline float wide(float x) { return x; }
__device__ inline double wide(double x) { return x; }
__device__ inline float wide(bf16 x) { return __uint_as_float((u32)x.bits << 16); }
__device__ inline float wide(f16 x) {
#ifdef __CUDA_ARCH__
    float y;
    asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x.bits));
    return y;
#else
    return host_widened(x.bits);
#endif
}

template <class T> struct Wide { typedef float type; };
template <> struct Wide<double> { typedef double type; };

// To the nearest, ties to even; NaN stays NaN.
__device__ inline void narrow(float x, float& y) { y = x; }
__device__ inline void narrow(double x, double& y) { y = x; }
__device__ inline void narrow(float x, bf16& y) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
    return;
#endif
    u32 b = __float_as_uint(x);
    if ((b & 0x7fffffffu) > 0x7f800000u)
        y.bits = (unsigned short)((b >> 16) | 0x40u);
    else
        y.bits = (unsigned short)((b + 0x7fffu + ((b >> 16) & 1u)) >> 16);
}
__device__ inline void narrow(float x, f16& y) {
#ifdef __CUDA_ARCH__
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
#else
    y.bits = host_narrowed(x);
#endif
}
template <class T, class A> __device__ inline T made(A x) {
    T y;
    narrow(x, y);
    return y;
}

// -- numbers ----------------------------------------------------------------------------------

__device__ inline float exp_(float x) { return expf(x); }
__device__ inline double exp_(double x) { return exp(x); }
__device__ inline float expm1_(float x) { return expm1f(x); }
__device__ inline double expm1_(double x) { return expm1(x); }
__device__ inline float log_(float x) { return logf(x); }
__device__ inline double log_(double x) { return log(x); }
__device__ inline float sqrt_(float x) { return sqrtf(x); }
__device__ inline double sqrt_(double x) { return sqrt(x); }
__device__ inline float tanh_(float x) { return tanhf(x); }
__device__ inline double tanh_(double x) { return tanh(x); }
__device__ inline float erf_(float x) { return erff(x); }
__device__ inline double erf_(double x) { return erf(x); }
__device__ inline float erfc_(float x) { return erfcf(x); }
__device__ inline double erfc_(double x) { return erfc(x); }
template <class A> __device__ inline A sigmoid_(A x) { return A(1) / (A(1) + exp_(-x)); }
// 1 / x by one instruction, within a unit in the last place; of numbers above the smallest only.
__device__ inline float inverse(float x) {
#ifdef __CUDA_ARCH__
    float y;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
#else
    return 1.0f / x;
#endif
}
template <class A> __device__ inline A infinity() { return A(__uint_as_float(0x7f800000u)); }
template <class A> __device__ inline A not_a_number() { return A(__uint_as_float(0x7fc00000u)); }

// -- 16 bytes at a time -------------------------------------------------------------------------

template <class T> struct alignas(16) Pack {
    static const int count = 16 / (int)sizeof(T);
    T at[count];
};
__device__ inline bool even(const void* p) { return ((u64)p & 15) == 0; }

// f(i, values) for the elements i of K lines of n, those of number `at`, `at + step`, ... packs.
template <class T, int K, class F>
__device__ inline void visit(const T* const (&in)[K], i64 n, i64 at, i64 step, F f) {
    typedef typename Wide<T>::type A;
    const int count = Pack<T>::count;
    bool packed = true;
    for (int k = 0; k < K; k++) packed = packed && even(in[k]);
    i64 packs = packed ? n / count : 0;
    for (i64 p = at; p < packs; p += step) {
        Pack<T> got[K];
        for (int k = 0; k < K; k++) got[k] = ((const Pack<T>*)in[k])[p];
#pragma unroll
        for (int j = 0; j < count; j++) {
            A v[K];
            for (int k = 0; k < K; k++) v[k] = wide(got[k].at[j]);
            f(p * count + j, v);
        }
    }
    for (i64 i = packs * count + at; i < n; i += step) {
        A v[K];
        for (int k = 0; k < K; k++) v[k] = wide(in[k][i]);
        f(i, v);
    }
}

// out[i] = f(i, values), likewise. `out` may be one of the lines.
template <class T, int K, class F>
__device__ inline void rewrite(const T* const (&in)[K], T* out, i64 n, i64 at, i64 step, F f) {
    typedef typename Wide<T>::type A;
    const int count = Pack<T>::count;
    bool packed = even(out);
    for (int k = 0; k < K; k++) packed = packed && even(in[k]);
    i64 packs = packed ? n / count : 0;
    for (i64 p = at; p < packs; p += step) {
        Pack<T> got[K], made_;
        for (int k = 0; k < K; k++) got[k] = ((const Pack<T>*)in[k])[p];
#pragma unroll
        for (int j = 0; j < count; j++) {
            A v[K];
            for (int k = 0; k < K; k++) v[k] = wide(got[k].at[j]);
            narrow(A(f(p * count + j, v)), made_.at[j]);
        }
        ((Pack<T>*)out)[p] = made_;
    }
    for (i64 i = packs * count + at; i < n; i += step) {
        A v[K];
        for (int k = 0; k < K; k++) v[k] = wide(in[k][i]);
        narrow(A(f(i, v)), out[i]);
    }
}

__device__ inline i64 thread_number() { return (i64)blockIdx.x * blockDim.x + threadIdx.x; }
__device__ inline i64 thread_count() { return (i64)gridDim.x * blockDim.x; }

// -- sums of many threads -----------------------------------------------------------------------

struct Add {
    template <class A> __device__ A operator()(A a, A b) const { return a + b; }
};
struct Max {  // NaN wins
    template <class A> __device__ A operator()(A a, A b) const { return a > b || a != a ? a : b; }
};

template <class A, class F> __device__ inline A of_warp(A v, F f) {
#pragma unroll
    for (int step = 16; step > 0; step >>= 1) v = f(v, __shfl_xor_sync(0xffffffffu, v, step));
    return v;
}

// All threads of a block (a multiple of 32) get what f makes of all their values.
template <class A, class F> __device__ inline A of_block(A v, F f, A none) {
    __shared__ A parts[32];
    int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    v = of_warp(v, f);
    __syncthreads();  // the last call's parts may not be read yet
    if (lane == 0) parts[warp] = v;
    __syncthreads();
    return of_warp(lane < (int)(blockDim.x >> 5) ? parts[lane] : none, f);
}

// Who works on a row together: a warp of 32 threads, or a whole block.
struct OneWarp {
    __device__ static i64 row() { return thread_number() >> 5; }
    __device__ static int lane() { return threadIdx.x & 31; }
    __device__ static int lanes() { return 32; }
    template <class A> __device__ static A sum(A v) { return of_warp(v, Add()); }
    template <class A> __device__ static A max(A v) { return of_warp(v, Max()); }
};
struct OneBlock {
    __device__ static i64 row() { return blockIdx.x; }
    __device__ static int lane() { return threadIdx.x; }
    __device__ static int lanes() { return blockDim.x; }
    template <class A> __device__ static A sum(A v) { return of_block(v, Add(), A(0)); }
    template <class A> __device__ static A max(A v) {
        return of_block(v, Max(), -infinity<A>());
    }
};

// One of LINES lines that a warp or a block keeps in registers, so that memory is read once: E
// elements for each thread (`threads_for` has the same numbers), in packs if that is possible
// (which is one answer for the whole line).
template <class T, class G, int LINES = 1> struct Line {
    typedef typename Wide<T>::type A;
    static const int count = Pack<T>::count, E = (sizeof(A) == 8 ? 8 : 16) / LINES;
    A at[E];
    i64 n;
    bool packed;

    __device__ static bool fits(i64 n) { return n <= (i64)E * G::lanes(); }
    __device__ i64 place(int k) const {
        return packed ? ((i64)(k / count) * G::lanes() + G::lane()) * count + k % count
                      : (i64)k * G::lanes() + G::lane();
    }
    __device__ Line(const T* p, i64 n_, bool evenly)
        : n(n_), packed(evenly && even(p) && n_ % count == 0) {
        if (packed) {
#pragma unroll
            for (int k = 0; k < E; k += count) {
                i64 i = place(k);
                if (i >= n) continue;
                Pack<T> got = *(const Pack<T>*)(p + i);
#pragma unroll
                for (int j = 0; j < count; j++) at[k + j] = wide(got.at[j]);
            }
        } else {
#pragma unroll
            for (int k = 0; k < E; k++)
                if (place(k) < n) at[k] = wide(p[place(k)]);
        }
    }
    // f(k, i) for the elements i of this thread, which are at[k].
    template <class F> __device__ void each(F f) const {
#pragma unroll
        for (int k = 0; k < E; k++)
            if (place(k) < n) f(k, place(k));
    }
    // out[i] = f(k, i, values) with those of K more lines at i; null: none is read.
    template <int K, class F>
    __device__ void put(const T* const (&in)[K], T* out, F f) const {
        bool evenly = packed && even(out);
        for (int m = 0; m < K; m++) evenly = evenly && even(in[m]);
        if (!evenly) {
            each([&](int k, i64 i) {
                A v[K];
                for (int m = 0; m < K; m++) v[m] = in[m] ? wide(in[m][i]) : A(0);
                narrow(A(f(k, i, v)), out[i]);
            });
            return;
        }
#pragma unroll
        for (int k = 0; k < E; k += count) {
            i64 i = place(k);
            if (i >= n) continue;
            Pack<T> got[K], made_;
            for (int m = 0; m < K; m++)
                if (in[m]) got[m] = *(const Pack<T>*)(in[m] + i);
#pragma unroll
            for (int j = 0; j < count; j++) {
                A v[K];
                for (int m = 0; m < K; m++) v[m] = in[m] ? wide(got[m].at[j]) : A(0);
                narrow(A(f(k + j, i + j, v)), made_.at[j]);
            }
            *(Pack<T>*)(out + i) = made_;
        }
    }
};

// -- entries ------------------------------------------------------------------------------------
//
// KERNEL(name, (parameters), body) makes the entries name_f16, name_bf16, name_f32 and name_f64, in
// which T is the type and A the one that is computed in. Parameters are pointers, i64 and double
// only, of 8 bytes each. A block has at most THREADS threads: a file whose blocks may have more
// says so, for each thread then has fewer registers.

#define THREADS 256
#ifndef ENTRY
#define ENTRY(name) extern "C" __global__ void __launch_bounds__(THREADS) name
#define ENTERED(name)
#endif
#define KERNEL_OF(name, kind, Type, parameters, ...) \
    namespace name##_##kind##_ { \
    typedef Type T; \
    typedef Wide<T>::type A; \
    ENTRY(name##_##kind) parameters { __VA_ARGS__; } \
    ENTERED(name##_##kind) \
    }
#ifndef KINDS  // which of the four: their bits
#define KINDS 15
#endif
#define KERNEL(name, parameters, ...) \
    KERNEL_F16(name, parameters, __VA_ARGS__) \
    KERNEL_BF16(name, parameters, __VA_ARGS__) \
    KERNEL_F32(name, parameters, __VA_ARGS__) \
    KERNEL_F64(name, parameters, __VA_ARGS__)
#if KINDS & 1
#define KERNEL_F16(name, parameters, ...) KERNEL_OF(name, f16, f16, parameters, __VA_ARGS__)
#else
#define KERNEL_F16(...)
#endif
#if KINDS & 2
#define KERNEL_BF16(name, parameters, ...) KERNEL_OF(name, bf16, bf16, parameters, __VA_ARGS__)
#else
#define KERNEL_BF16(...)
#endif
#if KINDS & 4
#define KERNEL_F32(name, parameters, ...) KERNEL_OF(name, f32, float, parameters, __VA_ARGS__)
#else
#define KERNEL_F32(...)
#endif
#if KINDS & 8
#define KERNEL_F64(name, parameters, ...) KERNEL_OF(name, f64, double, parameters, __VA_ARGS__)
#else
#define KERNEL_F64(...)
#endif
