// Attention in float16 and bfloat16 by tensor cores; see attention.cu, which has the entries.
//
// A warp has 16 TALL rows of its own, a block those of its warps, and they meet the other side's
// rows by tiles of MET, of which the next is fetched while one is multiplied. What is read of the
// other side is multiplied by all rows of a warp. What scores become is in the lanes already where
// the next product wants it. W is the width that there is room for: it is filled up with zeros.

template <int W> struct Plan {
    static const int TALL = W <= 64 ? 2 : 1, ROWS = 16 * TALL;  // of a warp
    static const int MOST = 4 * ROWS;                           // of a block
    static const int MET = W <= 64 ? 64 : 32;
};
// Of a block: two or four warps where a warp has 32 rows, else four.
template <int W> __device__ inline int threads() { return W <= 64 ? blockDim.x : 128; }
template <int W> __device__ inline int own_rows() { return threads<W>() / 32 * Plan<W>::ROWS; }

// Two numbers as a word of a matrix, the first one in the lower half.
template <class T> __device__ inline u32 word(float first, float second) {
    T a, b;
    narrow(first, a);
    narrow(second, b);
    return (u32)a.bits | (u32)b.bits << 16;
}

// Where a chunk of 16 bytes of a row lies: eight that are read at once are in different banks.
template <int W> __device__ inline char* place(char* room, int row, int chunk) {
    return room + row * (W * 2) + (chunk ^ (row & 7)) * 16;
}

// Begin to fetch `count` rows from `start` on, with zeros where there are none. A thread has the
// same chunk of every 8th or 16th row, so that one addition leads to the next.
template <class T, int W>
__device__ inline void bring(char* room, const Rows<const T>& rows, int start, int count) {
    const int chunks = W / 8;
    int chunk = threadIdx.x % chunks, step = threads<W>() / chunks, row = threadIdx.x / chunks;
    char* to = place<W>(room, row, chunk);
    const T* from = rows.at + (start + row) * rows.step + chunk * 8;
    i64 apart = step * rows.step;
    int left = rows.count - start, broad = rows.width - chunk * 8;
    if (rows.even) {
#pragma unroll 4
        for (; row < count; row += step, to += step * (W * 2), from += apart)
            fetch_ahead<16>(to, from, row < left && broad > 0);
        return;
    }
#pragma unroll 1
    for (; row < count; row += step, to += step * (W * 2), from += apart) {
        Pack<T> made_;
#pragma unroll
        for (int j = 0; j < 8; j++) {
            made_.at[j].bits = 0;
            if (row < left && j < broad) made_.at[j] = from[j];
        }
        *(Pack<T>*)to = made_;
    }
}

// A warp's rows as left operands: kept in registers, or read from the room that they lie in.
template <int W, bool KEPT> struct Own {
    static const int TALL = Plan<W>::TALL;
    u32 at[W / 16][TALL][4];
    __device__ void take(char* room) {
        int lane = threadIdx.x % 32, row = threadIdx.x / 32 * Plan<W>::ROWS + lane % 16;
#pragma unroll
        for (int d = 0; d < W / 16; d++)
#pragma unroll
            for (int m = 0; m < TALL; m++)
                load_tiles(at[d][m], place<W>(room, row + 16 * m, 2 * d + lane / 16));
    }
    __device__ void get(u32 (&to)[TALL][4], int d) const {
#pragma unroll
        for (int m = 0; m < TALL; m++)
#pragma unroll
            for (int i = 0; i < 4; i++) to[m][i] = at[d][m][i];
    }
};
template <int W> struct Own<W, false> {
    static const int TALL = Plan<W>::TALL;
    char* room;
    __device__ void take(char* room_) { room = room_; }
    __device__ void get(u32 (&to)[TALL][4], int d) const {
        int lane = threadIdx.x % 32, row = threadIdx.x / 32 * Plan<W>::ROWS + lane % 16;
#pragma unroll
        for (int m = 0; m < TALL; m++)
            load_tiles(to[m], place<W>(room, row + 16 * m, 2 * d + lane / 16));
    }
};

template <int K, int M, int N> __device__ inline void clear(float (&c)[K][M][N]) {
#pragma unroll
    for (int k = 0; k < K; k++) clear(c[k]);
}

// c (ROWS, N) = a (ROWS, W) times the rows there.
template <class T, int W, int N, bool KEPT>
__device__ inline void by_rows(float (&c)[Plan<W>::TALL][N / 8][4], const Own<W, KEPT>& own,
                               char* room, int width) {
    const int TALL = Plan<W>::TALL;
    int lane = threadIdx.x % 32;
    clear(c);
#pragma unroll
    for (int d = 0; d < W / 16; d++) {
        if (16 * d >= width) continue;
        u32 a[TALL][4];
        own.get(a, d);
#pragma unroll
        for (int j = 0; j < N / 16; j++) {
            u32 b[4];
            load_tiles(b, place<W>(room, 16 * j + lane / 16 * 8 + lane % 8,
                                   2 * d + lane / 8 % 2));
            const u32 first[2] = {b[0], b[1]}, second[2] = {b[2], b[3]};
#pragma unroll
            for (int m = 0; m < TALL; m++) {
                multiply(c[m][2 * j], a[m], first, T());
                multiply(c[m][2 * j + 1], a[m], second, T());
            }
        }
    }
}

// c (ROWS, W) += p (ROWS, N), as it was left by a product, times the rows there.
template <class T, int W, int N>
__device__ inline void add_up(float (&c)[Plan<W>::TALL][W / 8][4],
                              const float (&p)[Plan<W>::TALL][N / 8][4], char* room, int width) {
    const int TALL = Plan<W>::TALL;
    int lane = threadIdx.x % 32;
#pragma unroll
    for (int k = 0; k < N / 16; k++) {
        u32 a[TALL][4];
#pragma unroll
        for (int m = 0; m < TALL; m++)
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const float(&of)[4] = p[m][2 * k + i / 2];
                a[m][i] = word<T>(of[i % 2 * 2], of[i % 2 * 2 + 1]);
            }
#pragma unroll
        for (int d = 0; d < W / 16; d++) {
            if (16 * d >= width) continue;
            u32 b[4];
            load_turned_tiles(b, place<W>(room, 16 * k + lane % 16, 2 * d + lane / 16));
            const u32 first[2] = {b[0], b[1]}, second[2] = {b[2], b[3]};
#pragma unroll
            for (int m = 0; m < TALL; m++) {
                multiply(c[m][2 * d], a[m], first, T());
                multiply(c[m][2 * d + 1], a[m], second, T());
            }
        }
    }
}

// The first of a warp's rows, and which of these a lane has: rows 8 r further on, 2 TALL of them.
template <int W> __device__ inline int warps_row() { return threadIdx.x / 32 * Plan<W>::ROWS; }
template <int W> __device__ inline int lanes_row() {
    return warps_row<W>() + threadIdx.x % 32 / 4;
}

// A warp's rows of a result: c times what is for each of the lane's rows.
template <class T, int W>
__device__ inline void put(const Rows<T>& to, int start,
                           const float (&c)[Plan<W>::TALL][W / 8][4],
                           const float (&by)[2 * Plan<W>::TALL]) {
    int lane = threadIdx.x % 32;
#pragma unroll
    for (int r = 0; r < 2 * Plan<W>::TALL; r++) {
        int row = start + lanes_row<W>() + 8 * r;
        if (row >= to.count) continue;
        T* at = to.at + row * to.step + lane % 4 * 2;
#pragma unroll
        for (int j = 0; j < W / 8; j++) {
            const float(&two)[4] = c[r / 2][j];
            int left = to.width - (8 * j + lane % 4 * 2), i = r % 2 * 2;
            if (to.even && left > 0) {
                *(u32*)(at + 8 * j) = word<T>(two[i] * by[r], two[i + 1] * by[r]);
            } else {
                if (left > 0) narrow(two[i] * by[r], at[8 * j]);
                if (left > 1) narrow(two[i + 1] * by[r], at[8 * j + 1]);
            }
        }
    }
}

// A warp's products become scores, in powers of two. Rows are queries, or keys if TURNED.
template <bool TURNED, class T, int W, int N>
__device__ inline void score(float (&s)[Plan<W>::TALL][N / 8][4], const Scores<T>& scores, int own,
                             int met) {
    const int TALL = Plan<W>::TALL, ROWS = Plan<W>::ROWS;
    int lane = threadIdx.x % 32;
    own += warps_row<W>();
    bool whole = TURNED ? scores.whole(met, N, own, ROWS) : scores.whole(own, ROWS, met, N);
    own += lane / 4, met += lane % 4 * 2;
#pragma unroll
    for (int m = 0; m < TALL; m++)
#pragma unroll
        for (int j = 0; j < N / 8; j++)
#pragma unroll
            for (int i = 0; i < 4; i++) {
                int row = own + 16 * m + i / 2 * 8, column = met + 8 * j + i % 2;
                float(&at)[4] = s[m][j];
                at[i] = whole ? at[i] * scores.scale
                              : scores.of(at[i], TURNED ? column : row, TURNED ? row : column);
            }
}

template <class T, int W> __device__ void forward_by_cores(const Forward<T>& f) {
    const int TALL = Plan<W>::TALL, MET = Plan<W>::MET, N = MET;
    alignas(16) __shared__ char room[2][2][MET * W * 2];
    const Head at(f.size, f.size.queries, own_rows<W>(), f.size.causal);
    int lane = threadIdx.x % 32, start = at.start, width = f.size.width;
    Rows<const T> q = f.q.of(at.batch, at.head), k = f.k.of(at.batch, at.head / f.size.group),
                  v = f.v.of(at.batch, at.head / f.size.group);
    Scores<T> scores = f.scores(at);
    Own<W, true> own;
    bring<T, W>(room[0][0], q, start, own_rows<W>());  // as large as two tiles, at most
    end_group();
    wait_for_groups<0>();
    __syncthreads();
    own.take(room[0][0]);
    __syncthreads();
    float total[TALL][W / 8][4], top[2 * TALL], sum[2 * TALL];
    clear(total);
#pragma unroll
    for (int r = 0; r < 2 * TALL; r++) top[r] = -infinity<float>(), sum[r] = 0;
    int last = scores.causal ? least(k.count, start + own_rows<W>()) : k.count;
    int mine = scores.causal ? least(last, start + warps_row<W>() + 16 * TALL) : last;
    bring<T, W>(room[0][0], k, 0, MET);
    bring<T, W>(room[0][1], v, 0, MET);
    end_group();
    for (int tile = 0, s = 0; tile < last; tile += MET, s ^= 1) {
        wait_for_groups<0>();
        __syncthreads();  // what was fetched is there, and the other half is read no more
        if (tile + MET < last) {
            bring<T, W>(room[s ^ 1][0], k, tile + MET, MET);
            bring<T, W>(room[s ^ 1][1], v, tile + MET, MET);
        }
        end_group();
#pragma unroll 1
        for (int part = 0; part < MET && tile + part < mine; part += N) {
            float p[TALL][N / 8][4];
            by_rows<T, W, N>(p, own, room[s][0] + part * W * 2, width);
            score<false, T, W, N>(p, scores, start, tile + part);
#pragma unroll
            for (int r = 0; r < 2 * TALL; r++) {
                const int m = r / 2, i = r % 2 * 2;
                float peak = top[r];
#pragma unroll
                for (int j = 0; j < N / 8; j++)
                    peak = fmaxf(peak, fmaxf(p[m][j][i], p[m][j][i + 1]));
                peak = fmaxf(peak, __shfl_xor_sync(0xffffffffu, peak, 1));
                peak = fmaxf(peak, __shfl_xor_sync(0xffffffffu, peak, 2));
                float base = peak == -infinity<float>() ? 0.0f : peak;
                float shrink = exp2_(top[r] - base);
                top[r] = peak;
                sum[r] *= shrink;
#pragma unroll
                for (int j = 0; j < W / 8; j++)
                    total[m][j][i] *= shrink, total[m][j][i + 1] *= shrink;
#pragma unroll
                for (int j = 0; j < N / 8; j++)
#pragma unroll
                    for (int e = i; e < i + 2; e++)
                        sum[r] += p[m][j][e] = exp2_(p[m][j][e] - base);
            }
            add_up<T, W, N>(total, p, room[s][1] + part * W * 2, width);
        }
    }
    float by[2 * TALL];
#pragma unroll
    for (int r = 0; r < 2 * TALL; r++) {
        sum[r] += __shfl_xor_sync(0xffffffffu, sum[r], 1);
        sum[r] += __shfl_xor_sync(0xffffffffu, sum[r], 2);
        by[r] = scores.share_of(sum[r]);
        int row = start + lanes_row<W>() + 8 * r;
        if (lane % 4 == 0 && row < q.count) f.logs[at.rows + row] = scores.log_of(top[r], sum[r]);
    }
    put<T, W>(f.out.of(at.batch, at.head), start, total, by);
}

// The gradient of q, for a block's rows of queries: keys and values are met.
template <class T, int W> __device__ void for_queries_by_cores(const Backward<T>& f) {
    const int TALL = Plan<W>::TALL, MET = Plan<W>::MET, N = 32;
    alignas(16) __shared__ char room[2][2][MET * W * 2];
    __shared__ float about[2][Plan<W>::MOST];  // logarithms and slopes, too many for registers
    const Head at(f.size, f.size.queries, own_rows<W>(), f.size.causal);
    int start = at.start, width = f.size.width;
    Rows<const T> q = f.q.of(at.batch, at.head), g = f.g.of(at.batch, at.head),
                  k = f.k.of(at.batch, at.head / f.size.group),
                  v = f.v.of(at.batch, at.head / f.size.group);
    Scores<T> scores = f.scores(at);
    Own<W, true> of_q, of_g;
    bring<T, W>(room[0][0], q, start, own_rows<W>());
    bring<T, W>(room[1][0], g, start, own_rows<W>());
    end_group();
    wait_for_groups<0>();
    __syncthreads();
    of_q.take(room[0][0]);
    of_g.take(room[1][0]);
    __syncthreads();
    float total[TALL][W / 8][4];
    clear(total);
    if ((int)threadIdx.x < own_rows<W>()) {
        int row = start + threadIdx.x;
        bool there = row < q.count;
        about[0][threadIdx.x] = there ? f.logs[at.rows + row] * (float)LOG2E : 0.0f;
        about[1][threadIdx.x] = there ? f.slopes[at.rows + row] : 0.0f;
    }
    int last = scores.causal ? least(k.count, start + own_rows<W>()) : k.count;
    int mine = scores.causal ? least(last, start + warps_row<W>() + 16 * TALL) : last;
    bring<T, W>(room[0][0], k, 0, MET);
    bring<T, W>(room[0][1], v, 0, MET);
    end_group();
    for (int tile = 0, s = 0; tile < last; tile += MET, s ^= 1) {
        wait_for_groups<0>();
        __syncthreads();
        if (tile + MET < last) {
            bring<T, W>(room[s ^ 1][0], k, tile + MET, MET);
            bring<T, W>(room[s ^ 1][1], v, tile + MET, MET);
        }
        end_group();
#pragma unroll 1
        for (int part = 0; part < MET && tile + part < mine; part += N) {
            char *keys = room[s][0] + part * W * 2, *values = room[s][1] + part * W * 2;
            float p[TALL][N / 8][4], d[TALL][N / 8][4];
            by_rows<T, W, N>(p, of_q, keys, width);
            score<false, T, W, N>(p, scores, start, tile + part);
            by_rows<T, W, N>(d, of_g, values, width);
#pragma unroll
            for (int r = 0; r < 2 * TALL; r++) {
                int row = lanes_row<W>() + 8 * r;
                float log = about[0][row], slope = about[1][row];
#pragma unroll
                for (int j = 0; j < N / 8; j++)
#pragma unroll
                    for (int i = r % 2 * 2; i < r % 2 * 2 + 2; i++) {
                        float share = exp2_(p[r / 2][j][i] - log), &to = d[r / 2][j][i];
                        to = slope_of(share, to, slope);
                    }
            }
            add_up<T, W, N>(total, d, keys, width);
        }
    }
    float by[2 * TALL];
#pragma unroll
    for (int r = 0; r < 2 * TALL; r++) by[r] = (float)f.size.scale;
    put<T, W>(f.first.of(at.batch, at.head), start, total, by);
}

// The gradients of k and v, for a block's rows of keys: queries and what arrives are met, of all
// the heads that a head of keys serves.
template <class T, int W> __device__ void for_keys_by_cores(const Backward<T>& f) {
    const int TALL = Plan<W>::TALL, MET = W <= 64 ? 32 : 16, N = 16;
    const bool KEPT = TALL == 1;  // else there are too few registers for the keys
    alignas(16) __shared__ char room[2][2][MET * W * 2];
    alignas(16) __shared__ char keys[KEPT ? 16 : Plan<W>::MOST * W * 2];
    alignas(16) __shared__ float about[2][2][MET];  // logarithms and slopes
    const Head at(f.size, f.size.keys, own_rows<W>(), false, f.size.heads / f.size.group);
    int lane = threadIdx.x % 32, start = at.start, width = f.size.width;
    Rows<const T> k = f.k.of(at.batch, at.head), v = f.v.of(at.batch, at.head);
    Own<W, KEPT> of_k;
    Own<W, true> of_v;
    bring<T, W>(room[0][0], v, start, own_rows<W>());
    if (!KEPT) bring<T, W>(keys, k, start, own_rows<W>());
    end_group();
    wait_for_groups<0>();
    __syncthreads();
    of_v.take(room[0][0]);
    __syncthreads();
    if (KEPT) {
        bring<T, W>(room[0][0], k, start, own_rows<W>());
        end_group();
        wait_for_groups<0>();
        __syncthreads();
        of_k.take(room[0][0]);
        __syncthreads();
    } else {
        of_k.take(keys);
    }
    int queries = f.size.queries, first = f.size.causal ? start / MET * MET : 0;
    int each = first < queries ? (queries - first + MET - 1) / MET : 0;
    auto fetch = [&](int step, int s) {
        int head = at.head * f.size.group + step / each, tile = first + step % each * MET;
        bring<T, W>(room[s][0], f.q.of(at.batch, head), tile, MET);
        bring<T, W>(room[s][1], f.g.of(at.batch, head), tile, MET);
        i64 row = ((i64)at.batch * f.size.heads + head) * queries + tile;
        int i = threadIdx.x;
        if (i < MET) {
            fetch_ahead<4>(&about[s][0][i], f.logs + row + i, tile + i < queries);
            fetch_ahead<4>(&about[s][1][i], f.slopes + row + i, tile + i < queries);
        }
    };
    float for_k[TALL][W / 8][4], for_v[TALL][W / 8][4];
    clear(for_k);
    clear(for_v);
    if (each) fetch(0, 0);
    end_group();
    for (int step = 0, s = 0; step < each * f.size.group; step++, s ^= 1) {
        wait_for_groups<0>();
        __syncthreads();
        if (step + 1 < each * f.size.group) fetch(step + 1, s ^ 1);
        end_group();
        int head = at.head * f.size.group + step / each, tile = first + step % each * MET;
        Scores<T> scores = f.scores(at, head);
#pragma unroll 1
        for (int part = 0; part < MET; part += N) {
            if (tile + part >= queries) break;
            if (f.size.causal && tile + part + N <= start + warps_row<W>()) continue;
            char *of_queries = room[s][0] + part * W * 2, *arrived = room[s][1] + part * W * 2;
            float p[TALL][N / 8][4], d[TALL][N / 8][4];
            by_rows<T, W, N>(p, of_k, of_queries, width);
            score<true, T, W, N>(p, scores, start, tile + part);
            by_rows<T, W, N>(d, of_v, arrived, width);
#pragma unroll
            for (int j = 0; j < N / 8; j++)
#pragma unroll
                for (int e = 0; e < 2; e++) {
                    int column = part + 8 * j + lane % 4 * 2 + e;
                    float log = about[s][0][column] * (float)LOG2E, slope = about[s][1][column];
#pragma unroll
                    for (int m = 0; m < TALL; m++)
#pragma unroll
                        for (int i = e; i < 4; i += 2) {
                            float share = p[m][j][i] = exp2_(p[m][j][i] - log);
                            d[m][j][i] = slope_of(share, d[m][j][i], slope);
                        }
                }
            add_up<T, W, N>(for_v, p, arrived, width);
            add_up<T, W, N>(for_k, d, of_queries, width);
        }
    }
    float by[2 * TALL], one[2 * TALL];
#pragma unroll
    for (int r = 0; r < 2 * TALL; r++) by[r] = (float)f.size.scale, one[r] = 1;
    put<T, W>(f.first.of(at.batch, at.head), start, for_k, by);
    put<T, W>(f.second.of(at.batch, at.head), start, for_v, one);
}
