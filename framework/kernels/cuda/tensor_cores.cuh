// Products by tensor cores, of devices of capability 8.0 and later: who launches an entry that uses
// them looks before (`cuda.has_tensor_cores`). A warp makes a tile of 16 by 8 at once:
//
//   c (16, 8) += a (16, DEPTH) b (DEPTH, 8)       DEPTH: 16 of float16 and bfloat16, 8 of tf32
//
// Each lane holds parts of the three, as the PTX ISA has it ("Matrix fragments for mma.m16n8k16 /
// mma.m16n8k8"). With g = lane / 4 and t = lane % 4, and a word being two neighbours in the depth
// (in float16, bfloat16; the lower half first) or one number (tf32), p = 2 or 1 of them:
//
//   a[0]  row g      depth p t ...           b[0]  depth p t ...            column g
//   a[1]  row g + 8  depth p t ...           b[1]  depth p (t + 4) ...      column g
//   a[2]  row g      depth p (t + 4) ...
//   a[3]  row g + 8  depth p (t + 4) ...     c[0], c[1]  row g,     columns 2 t, 2 t + 1
//                                            c[2], c[3]  row g + 8, columns 2 t, 2 t + 1

struct tf32 { u32 bits; };  // a float32 with 10 bits of mantissa

// To the nearest, ties away from zero; NaN stays NaN.
__device__ inline void narrow(float x, tf32& y) {
#if __CUDA_ARCH__ >= 800
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(y.bits) : "f"(x));
#else
    y.bits = x != x ? 0x7fc00000u : (__float_as_uint(x) + 0x1000u) & 0xffffe000u;
#endif
}
__device__ inline float wide(tf32 x) { return __uint_as_float(x.bits); }

// What of a type the cores take, how deep a tile is, and how many numbers are in a word.
template <class T> struct Cores {
    typedef T type;
    static const int depth = 16, in_word = 2;
};
template <> struct Cores<float> {
    typedef tf32 type;
    static const int depth = 8, in_word = 1;
};

#if __CUDA_ARCH__ >= 800
#define MULTIPLY(shape, kind) \
    asm("mma.sync.aligned." shape ".row.col.f32." kind "." kind ".f32 " \
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};" \
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]) \
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]))
#elif defined(__CUDA_ARCH__)
#define MULTIPLY(shape, kind) asm volatile("trap;")
#else
#define MULTIPLY(shape, kind) host_multiply(c, a, b, kind)
#endif

// c += a b, by all lanes of a warp; the kind is that of T, of which only the type is looked at.
__device__ inline void multiply(float (&c)[4], const u32 (&a)[4], const u32 (&b)[2], f16) {
    MULTIPLY("m16n8k16", "f16");
}
__device__ inline void multiply(float (&c)[4], const u32 (&a)[4], const u32 (&b)[2], bf16) {
    MULTIPLY("m16n8k16", "bf16");
}
__device__ inline void multiply(float (&c)[4], const u32 (&a)[4], const u32 (&b)[2], tf32) {
    MULTIPLY("m16n8k8", "tf32");
}

#if __CUDA_ARCH__ >= 800
#define LOAD(kind, turned) \
    asm volatile("ldmatrix.sync.aligned.m8n8.x4" kind ".shared.b16 {%0, %1, %2, %3}, [%4];" \
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3]) \
                 : "r"((u32)__cvta_generic_to_shared(row)) \
                 : "memory")
#elif defined(__CUDA_ARCH__)
#define LOAD(kind, turned) asm volatile("trap;")
#else
#define LOAD(kind, turned) host_load_tiles(to, row, turned)
#endif

// Four tiles of 8 rows of 16 bytes from shared memory; rows begin where the lanes say: lanes 0
// to 7 those of the first tile, and so on. to[i] is word t of row g of tile i: with tiles (rows 0
// to 7, rows 8 to 15) by (first, second half of the depth) it is the a above. All addresses are
// multiples of 16.
__device__ inline void load_tiles(u32 (&to)[4], const void* row) { LOAD("", false); }

// The same of tiles of 8 by 8 halves, each transposed: to[i] is of column g the rows 2 t, 2 t + 1.
__device__ inline void load_turned_tiles(u32 (&to)[4], const void* row) { LOAD(".trans", true); }

// Begin to copy BYTES (4, 8 or 16) to shared memory, or zeros if `there` is false; the source is
// not read then. Both addresses are multiples of BYTES.
template <int BYTES> __device__ inline void fetch_ahead(void* to, const void* from, bool there) {
#if __CUDA_ARCH__ >= 800
    u32 at = (u32)__cvta_generic_to_shared(to), some = there ? BYTES : 0;
    if (BYTES == 16)  // not by way of the first cache
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
                     : : "r"(at), "l"(from), "r"(some) : "memory");
    else
        asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;"
                     : : "r"(at), "l"(from), "n"(BYTES), "r"(some) : "memory");
#elif defined(__CUDA_ARCH__)
    asm volatile("trap;");
#else
    host_fetch(to, from, BYTES, there);
#endif
}

// What was begun since the last time is one group.
__device__ inline void end_group() {
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.commit_group;" : : : "memory");
#elif !defined(__CUDA_ARCH__)
    host_end_group();
#endif
}

// Wait until at most LEFT of this thread's last groups are under way. Others' need a barrier too.
template <int LEFT> __device__ inline void wait_for_groups() {
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.wait_group %0;" : : "n"(LEFT) : "memory");
#elif !defined(__CUDA_ARCH__)
    host_wait_for_groups(LEFT);
#endif
}
