// Dropout with the bits of Philox-4x64 with 10 rounds (Salmon et al., "Parallel random numbers: as
// easy as 1, 2, 3", SC'11): the same numbers as the CPU's generator. A thread makes a block of four
// words, eight 32-bit numbers.

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
            for (int k = 0; k < 8 && b * 8 + k < n; k++)
                narrow(kept(wide(x[b * 8 + k]), k), y[b * 8 + k]);
        }
    }
}

KERNEL(dropout, (const T* x, T* y, i64 n, i64 key, i64 offset, i64 least, double scale),
       dropout_of<T>(x, y, n, key, offset, least, scale))
