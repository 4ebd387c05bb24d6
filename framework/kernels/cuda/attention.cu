// Scaled dot product attention without the matrix of scores (Dao et al., "FlashAttention", 2022,
// and "FlashAttention-2", 2023): tiles of keys are met in turn, sums are rescaled as the largest
// score grows. Gradients compute scores again, from the logarithms of the rows' sums: one launch
// for q, one for k and v, so that each number is added up by one block in one order, without
// atomics.
//
// By tensor cores in float16 and bfloat16 (attention_cores.cuh); else by threads, as follows. A
// block has N rows of its own and meets N others at once; a thread has 4 rows, of scores every
// 16th column, of results four neighbours in each 64. Products go through shared memory, by 32
// columns of both sides, or 64 of one.

#undef THREADS
#define THREADS 256

template <class T> struct Plain {
    typedef typename Wide<T>::type A;
    static const int N = sizeof(A) == 8 ? 32 : 64, threads = 4 * N, gap = Pack<A>::count;
    static const int few = 32 + gap, many = 64 + gap, line = N + gap;
    alignas(16) A strips[2 * N * few];
    alignas(16) A shares[N * line];
};

// N rows from `start` on and COLUMNS columns from `column` on, zero where there are none.
template <class T, int COLUMNS, int STRIDE>
__device__ inline void widen(typename Wide<T>::type* to, const Rows<const T>& rows, int start,
                             int column) {
    const int count = Pack<T>::count, packs = COLUMNS / count;
    for (int i = threadIdx.x; i < Plain<T>::N * packs; i += Plain<T>::threads) {
        int row = i / packs, at = i % packs * count;
        const T* from = rows.at + (start + row) * rows.step + column + at;
        int left = start + row < rows.count ? rows.width - column - at : 0;
        typename Wide<T>::type* goal = to + row * STRIDE + at;
        if (rows.even && left > 0) {
            Pack<T> got = *(const Pack<T>*)from;
#pragma unroll
            for (int j = 0; j < count; j++) goal[j] = wide(got.at[j]);
        } else {
#pragma unroll
            for (int j = 0; j < count; j++) goal[j] = j < left ? wide(from[j]) : 0;
        }
    }
}

// c = own rows times the rows met.
template <class T>
__device__ inline void by_rows(typename Wide<T>::type (&c)[4][Plain<T>::N / 16], Plain<T>& room,
                               const Rows<const T>& own, int start, const Rows<const T>& met,
                               int tile) {
    typedef typename Wide<T>::type A;
    typedef Plain<T> P;
    const int broad = P::N / 16, count = Pack<A>::count;
    int x = threadIdx.x % 16, y = threadIdx.x / 16;
    A *left = room.strips, *right = room.strips + P::N * P::few;
#pragma unroll
    for (int i = 0; i < 4; i++)
#pragma unroll
        for (int j = 0; j < broad; j++) c[i][j] = A(0);
#pragma unroll 1
    for (int column = 0; column < own.width; column += 32) {
        __syncthreads();  // what was there is read no more
        widen<T, 32, P::few>(left, own, start, column);
        widen<T, 32, P::few>(right, met, tile, column);
        __syncthreads();
#pragma unroll 4
        for (int d = 0; d < 32; d += count) {
            Pack<A> a[4], b[broad];
#pragma unroll
            for (int i = 0; i < 4; i++) a[i] = *(const Pack<A>*)(left + (4 * y + i) * P::few + d);
#pragma unroll
            for (int j = 0; j < broad; j++)
                b[j] = *(const Pack<A>*)(right + (x + 16 * j) * P::few + d);
#pragma unroll
            for (int k = 0; k < count; k++)
#pragma unroll
                for (int i = 0; i < 4; i++)
#pragma unroll
                    for (int j = 0; j < broad; j++) c[i][j] += a[i].at[k] * b[j].at[k];
        }
    }
}

// c += the shares p of the block's rows times the rows met.
template <class T, int W>
__device__ inline void add_up(typename Wide<T>::type (&c)[4][W / 16],
                              const typename Wide<T>::type (&p)[4][Plain<T>::N / 16],
                              Plain<T>& room, const Rows<const T>& met, int tile) {
    typedef typename Wide<T>::type A;
    typedef Plain<T> P;
    const int count = Pack<A>::count;
    int x = threadIdx.x % 16, y = threadIdx.x / 16;
    __syncthreads();
#pragma unroll
    for (int i = 0; i < 4; i++)
#pragma unroll
        for (int j = 0; j < P::N / 16; j++)
            room.shares[(4 * y + i) * P::line + x + 16 * j] = p[i][j];
#pragma unroll
    for (int part = 0; part < W / 64; part++) {
        if (64 * part >= met.width) continue;
        if (part) __syncthreads();
        widen<T, 64, P::many>(room.strips, met, tile, 64 * part);
        __syncthreads();
#pragma unroll 2
        for (int k = 0; k < P::N; k += count) {
            Pack<A> a[4];
#pragma unroll
            for (int i = 0; i < 4; i++)
                a[i] = *(const Pack<A>*)(room.shares + (4 * y + i) * P::line + k);
#pragma unroll
            for (int m = 0; m < count; m++) {
                A b[4];
#pragma unroll
                for (int e = 0; e < 4; e += count)
                    *(Pack<A>*)(b + e) =
                        *(const Pack<A>*)(room.strips + (k + m) * P::many + 4 * x + e);
#pragma unroll
                for (int i = 0; i < 4; i++)
#pragma unroll
                    for (int e = 0; e < 4; e++) c[i][4 * part + e] += a[i].at[m] * b[e];
            }
        }
    }
}

template <class T, int W>
__device__ inline void put(const Rows<T>& to, int start,
                           const typename Wide<T>::type (&c)[4][W / 16],
                           const typename Wide<T>::type (&by)[4]) {
    int x = threadIdx.x % 16, y = threadIdx.x / 16;
#pragma unroll
    for (int i = 0; i < 4; i++) {
        int row = start + 4 * y + i;
        if (row >= to.count) continue;
#pragma unroll
        for (int j = 0; j < W / 16; j++) {
            int column = j / 4 * 64 + 4 * x + j % 4;
            if (column < to.width) narrow(c[i][j] * by[i], to.at[row * to.step + column]);
        }
    }
}

// Products become scores, in powers of two. Rows are queries, or keys if TURNED.
template <bool TURNED, class T>
__device__ inline void score(typename Wide<T>::type (&s)[4][Plain<T>::N / 16],
                             const Scores<T>& scores, int own, int met) {
    const int N = Plain<T>::N;
    int x = threadIdx.x % 16, y = threadIdx.x / 16;
    bool whole = TURNED ? scores.whole(met, N, own, N) : scores.whole(own, N, met, N);
    own += 4 * y, met += x;
#pragma unroll
    for (int i = 0; i < 4; i++)
#pragma unroll
        for (int j = 0; j < N / 16; j++) {
            int row = own + i, column = met + 16 * j;
            s[i][j] = whole ? s[i][j] * scores.scale
                            : scores.of(s[i][j], TURNED ? column : row, TURNED ? row : column);
        }
}

// What f makes of the values of the 16 threads that share rows.
template <class A, class F> __device__ inline A of_row(A v, F f) {
#pragma unroll
    for (int step = 8; step > 0; step >>= 1) v = f(v, __shfl_xor_sync(0xffffffffu, v, step));
    return v;
}

template <class T, int W> __device__ void forward(const Forward<T>& f) {
    typedef typename Wide<T>::type A;
    const int N = Plain<T>::N;
    __shared__ Plain<T> room;
    const Head at(f.size, f.size.queries, N, f.size.causal);
    int x = threadIdx.x % 16, y = threadIdx.x / 16, start = at.start;
    Rows<const T> q = f.q.of(at.batch, at.head), k = f.k.of(at.batch, at.head / f.size.group),
                  v = f.v.of(at.batch, at.head / f.size.group);
    Scores<T> scores = f.scores(at);
    A total[4][W / 16], top[4], sum[4];
    clear(total);
#pragma unroll
    for (int i = 0; i < 4; i++) top[i] = -infinity<A>(), sum[i] = A(0);
    int last = scores.causal ? least(k.count, start + N) : k.count;
#pragma unroll 1
    for (int tile = 0; tile < last; tile += N) {
        A p[4][N / 16];
        by_rows<T>(p, room, q, start, k, tile);
        score<false, T>(p, scores, start, tile);
#pragma unroll
        for (int i = 0; i < 4; i++) {
            A peak = top[i];
#pragma unroll
            for (int j = 0; j < N / 16; j++) peak = largest(peak, p[i][j]);
            peak = of_row(peak, [](A a, A b) { return largest(a, b); });
            A base = peak == -infinity<A>() ? A(0) : peak, shrink = exp2_(top[i] - base);
            top[i] = peak;
            sum[i] *= shrink;
#pragma unroll
            for (int j = 0; j < W / 16; j++) total[i][j] *= shrink;
#pragma unroll
            for (int j = 0; j < N / 16; j++) sum[i] += p[i][j] = exp2_(p[i][j] - base);
        }
        add_up<T, W>(total, p, room, v, tile);
    }
    A by[4];
#pragma unroll
    for (int i = 0; i < 4; i++) {
        sum[i] = of_row(sum[i], Add());
        by[i] = scores.share_of(sum[i]);
        int row = start + 4 * y + i;
        if (x == 0 && row < q.count) f.logs[at.rows + row] = scores.log_of(top[i], sum[i]);
    }
    put<T, W>(f.out.of(at.batch, at.head), start, total, by);
}

// sum(g out) less what arrives for the logarithms: one warp for each row.
template <class T>
__device__ void slopes_of(const Places<const T>& g, const Places<const T>& out,
                          const typename Wide<T>::type* for_logs,
                          typename Wide<T>::type* slopes, i64 rows, i64 heads) {
    typedef typename Wide<T>::type A;
    i64 row = OneWarp::row(), all = row / g.count;
    if (row >= rows) return;
    int batch = (int)(all / heads), head = (int)(all % heads);
    const T* const in[2] = {g.of(batch, head).at + row % g.count * g.row,
                            out.of(batch, head).at + row % g.count * out.row};
    A sum = A(0);
    visit(in, g.width, OneWarp::lane(), 32, [&](i64, const A* v) { sum += v[0] * v[1]; });
    sum = of_warp(sum, Add());
    if (OneWarp::lane() == 0) slopes[row] = for_logs ? sum - for_logs[row] : sum;
}

// The gradient of q, for a block's rows of queries: keys and values are met.
template <class T, int W> __device__ void for_queries(const Backward<T>& f) {
    typedef typename Wide<T>::type A;
    const int N = Plain<T>::N;
    __shared__ Plain<T> room;
    const Head at(f.size, f.size.queries, N, f.size.causal);
    int y = threadIdx.x / 16, start = at.start;
    Rows<const T> q = f.q.of(at.batch, at.head), g = f.g.of(at.batch, at.head),
                  k = f.k.of(at.batch, at.head / f.size.group),
                  v = f.v.of(at.batch, at.head / f.size.group);
    Scores<T> scores = f.scores(at);
    A total[4][W / 16], log[4], slope[4], by[4];
    clear(total);
#pragma unroll
    for (int i = 0; i < 4; i++) {
        int row = start + 4 * y + i;
        log[i] = row < q.count ? f.logs[at.rows + row] * A(LOG2E) : A(0);
        slope[i] = row < q.count ? f.slopes[at.rows + row] : A(0);
        by[i] = A(f.size.scale);
    }
    int last = scores.causal ? least(k.count, start + N) : k.count;
#pragma unroll 1
    for (int tile = 0; tile < last; tile += N) {
        A p[4][N / 16], d[4][N / 16];
        by_rows<T>(p, room, q, start, k, tile);
        score<false, T>(p, scores, start, tile);
        by_rows<T>(d, room, g, start, v, tile);
#pragma unroll
        for (int i = 0; i < 4; i++)
#pragma unroll
            for (int j = 0; j < N / 16; j++)
                d[i][j] = slope_of(exp2_(p[i][j] - log[i]), d[i][j], slope[i]);
        add_up<T, W>(total, d, room, k, tile);
    }
    put<T, W>(f.first.of(at.batch, at.head), start, total, by);
}

// The gradients of k and v, for a block's rows of keys: queries and what arrives are met, of all
// the heads that a head of keys serves.
template <class T, int W> __device__ void for_keys(const Backward<T>& f) {
    typedef typename Wide<T>::type A;
    const int N = Plain<T>::N;
    __shared__ Plain<T> room;
    const Head at(f.size, f.size.keys, N, false, f.size.heads / f.size.group);
    int x = threadIdx.x % 16, start = at.start;
    Rows<const T> k = f.k.of(at.batch, at.head), v = f.v.of(at.batch, at.head);
    A for_k[4][W / 16], for_v[4][W / 16], by[4], one[4];
    clear(for_k);
    clear(for_v);
#pragma unroll
    for (int i = 0; i < 4; i++) by[i] = A(f.size.scale), one[i] = A(1);
#pragma unroll 1
    for (int head = at.head * f.size.group; head < (at.head + 1) * f.size.group; head++) {
        Rows<const T> q = f.q.of(at.batch, head), g = f.g.of(at.batch, head);
        Scores<T> scores = f.scores(at, head);
        i64 rows = ((i64)at.batch * f.size.heads + head) * q.count;
#pragma unroll 1
        for (int tile = scores.causal ? start : 0; tile < q.count; tile += N) {
            A p[4][N / 16], d[4][N / 16];
            by_rows<T>(p, room, k, start, q, tile);
            score<true, T>(p, scores, start, tile);
            by_rows<T>(d, room, v, start, g, tile);
#pragma unroll
            for (int j = 0; j < N / 16; j++) {
                int row = tile + x + 16 * j;
                A log = row < q.count ? f.logs[rows + row] * A(LOG2E) : A(0);
                A slope = row < q.count ? f.slopes[rows + row] : A(0);
#pragma unroll
                for (int i = 0; i < 4; i++) {
                    p[i][j] = exp2_(p[i][j] - log);
                    d[i][j] = slope_of(p[i][j], d[i][j], slope);
                }
            }
            add_up<T, W>(for_v, p, room, g, tile);
            add_up<T, W>(for_k, d, room, q, tile);
        }
    }
    put<T, W>(f.first.of(at.batch, at.head), start, for_k, by);
    put<T, W>(f.second.of(at.batch, at.head), start, for_v, one);
}

// -- entries: by the width that there is room for -----------------------------------------------

#define STEPS(x) i64 x##_batch, i64 x##_head, i64 x##_row
#define PLACES(x, count) {x, x##_batch, x##_head, x##_row, (int)count, (int)width}
#define SIZES i64 heads, i64 group, i64 queries, i64 keys, i64 width, double scale, i64 causal
#define SIZED {(int)heads, (int)group, (int)queries, (int)keys, (int)width, scale, causal != 0}
#define MASKS \
    const T *more, const unsigned char *seen, STEPS(mask), i64 mask_column
#define MASKED {more, seen, mask_batch, mask_head, mask_row, mask_column}

#define FORWARD(KIND, name, function) \
    KIND(name, (const T* q, const T* k, const T* v, T* out, A* logs, SIZES, STEPS(q), STEPS(k), \
                STEPS(v), STEPS(out), MASKS), \
         function(Forward<T>{PLACES(q, queries), PLACES(k, keys), PLACES(v, keys), \
                             PLACES(out, queries), logs, MASKED, SIZED}))
#define FOR_QUERIES(KIND, name, function) \
    KIND(name, (const T* g, const T* q, const T* k, const T* v, const A* logs, const A* slopes, \
                T* dq, SIZES, STEPS(g), STEPS(q), STEPS(k), STEPS(v), STEPS(dq), MASKS), \
         function(Backward<T>{PLACES(g, queries), PLACES(q, queries), PLACES(k, keys), \
                              PLACES(v, keys), logs, slopes, PLACES(dq, queries), {}, MASKED, \
                              SIZED}))
#define FOR_KEYS(KIND, name, function) \
    KIND(name, (const T* g, const T* q, const T* k, const T* v, const A* logs, const A* slopes, \
                T* dk, T* dv, SIZES, STEPS(g), STEPS(q), STEPS(k), STEPS(v), STEPS(dk), \
                STEPS(dv), MASKS), \
         function(Backward<T>{PLACES(g, queries), PLACES(q, queries), PLACES(k, keys), \
                              PLACES(v, keys), logs, slopes, PLACES(dk, keys), PLACES(dv, keys), \
                              MASKED, SIZED}))
#define HALVES(name, parameters, ...) \
    KERNEL_F16(name, parameters, __VA_ARGS__) \
    KERNEL_BF16(name, parameters, __VA_ARGS__)
#define WHOLES(name, parameters, ...) \
    KERNEL_F32(name, parameters, __VA_ARGS__) \
    KERNEL_F64(name, parameters, __VA_ARGS__)

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
#define BY_CORES(function) trapped  // nobody launches it there
template <class P> __device__ inline void trapped(const P&) { asm volatile("trap;"); }
#else
#define BY_CORES(function) (function)
#endif

FORWARD(WHOLES, attention_plain_64, (forward<T, 64>))
FORWARD(KERNEL, attention_plain_128, (forward<T, 128>))
FORWARD(HALVES, attention_cores_64, BY_CORES((forward_by_cores<T, 64>)))
FOR_QUERIES(WHOLES, attention_for_queries_plain_64, (for_queries<T, 64>))
FOR_QUERIES(KERNEL, attention_for_queries_plain_128, (for_queries<T, 128>))
FOR_QUERIES(HALVES, attention_for_queries_cores_64, BY_CORES((for_queries_by_cores<T, 64>)))
FOR_QUERIES(HALVES, attention_for_queries_cores_128, BY_CORES((for_queries_by_cores<T, 128>)))
FOR_KEYS(WHOLES, attention_for_keys_plain_64, (for_keys<T, 64>))
FOR_KEYS(KERNEL, attention_for_keys_plain_128, (for_keys<T, 128>))
FOR_KEYS(HALVES, attention_for_keys_cores_64, BY_CORES((for_keys_by_cores<T, 64>)))
FOR_KEYS(HALVES, attention_for_keys_cores_128, BY_CORES((for_keys_by_cores<T, 128>)))
KERNEL(attention_slopes,
       (const T* g, const T* out, const A* for_logs, A* slopes, i64 rows, i64 heads, i64 queries,
        i64 width, STEPS(g), STEPS(out)),
       slopes_of<T>(PLACES(g, queries), PLACES(out, queries), for_logs, slopes, rows, heads))

#undef THREADS
#define THREADS 128, 3  // so that a thread has no more registers than three blocks leave it
FORWARD(HALVES, attention_cores_128, BY_CORES((forward_by_cores<T, 128>)))
#undef THREADS
#define THREADS 256
