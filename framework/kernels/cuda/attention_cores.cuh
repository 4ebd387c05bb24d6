// Attention in float16 and bfloat16 by tensor cores; see attention.cu, which has the entries.
//
// A block has four warps, each with 16 rows of its own, and meets the other side's rows by tiles of
// MET, of which the next is fetched while one is multiplied. What of a row's own is multiplied
// stays in registers; what scores become is in the lanes already where the next product wants it.
// W is the width that there is room for: it is filled up with zeros.

const int OWN = 64;  // rows of a block
template <int W> struct Met { static const int rows = W <= 64 ? 64 : 32; };

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

// Begin to fetch rows `start` to `start + COUNT`, with zeros where there are none.
template <class T, int W, int COUNT>
__device__ inline void bring(char* room, const Rows<const T>& rows, int start) {
    const int chunks = W / 8;
    for (int i = threadIdx.x; i < COUNT * chunks; i += 2 * OWN) {
        int row = i / chunks, chunk = i % chunks;
        char* to = place<W>(room, row, chunk);
        const T* from = rows.at + (start + row) * rows.step + chunk * 8;
        bool there = start + row < rows.count;
        if (rows.even) {
            fetch_ahead<16>(to, from, there && chunk * 8 < rows.width);
            continue;
        }
        Pack<T> made_;
#pragma unroll
        for (int j = 0; j < 8; j++) {
            made_.at[j].bits = 0;
            if (there && chunk * 8 + j < rows.width) made_.at[j] = from[j];
        }
        *(Pack<T>*)to = made_;
    }
}

// A warp's rows as left operands, from a room of 64 rows.
template <int W> __device__ inline void take(u32 (&to)[W / 16][4], char* room) {
    int lane = threadIdx.x % 32, row = threadIdx.x / 32 * 16 + lane % 16;
#pragma unroll
    for (int d = 0; d < W / 16; d++) load_tiles(to[d], place<W>(room, row, 2 * d + lane / 16));
}

// c (16, MET) += a (16, W) times the rows there.
template <class T, int W, int MET>
__device__ inline void by_rows(float (&c)[MET / 8][4], const u32 (&a)[W / 16][4], char* room,
                               int width) {
    int lane = threadIdx.x % 32;
#pragma unroll
    for (int d = 0; d < W / 16; d++) {
        if (16 * d >= width) continue;
#pragma unroll
        for (int j = 0; j < MET / 16; j++) {
            u32 b[4];
            load_tiles(b, place<W>(room, 16 * j + lane / 16 * 8 + lane % 8,
                                   2 * d + lane / 8 % 2));
            const u32 first[2] = {b[0], b[1]}, second[2] = {b[2], b[3]};
            multiply(c[2 * j], a[d], first, T());
            multiply(c[2 * j + 1], a[d], second, T());
        }
    }
}

// c (16, W) += p (16, MET), as it was left by a product, times the rows there.
template <class T, int W, int MET>
__device__ inline void add_up(float (&c)[W / 8][4], const float (&p)[MET / 8][4], char* room,
                              int width) {
    int lane = threadIdx.x % 32;
#pragma unroll
    for (int k = 0; k < MET / 16; k++) {
        const float(&low)[4] = p[2 * k];
        const float(&high)[4] = p[2 * k + 1];
        const u32 a[4] = {word<T>(low[0], low[1]), word<T>(low[2], low[3]),
                          word<T>(high[0], high[1]), word<T>(high[2], high[3])};
#pragma unroll
        for (int d = 0; d < W / 16; d++) {
            if (16 * d >= width) continue;
            u32 b[4];
            load_turned_tiles(b, place<W>(room, 16 * k + lane % 16, 2 * d + lane / 16));
            const u32 first[2] = {b[0], b[1]}, second[2] = {b[2], b[3]};
            multiply(c[2 * d], a, first, T());
            multiply(c[2 * d + 1], a, second, T());
        }
    }
}

// A warp's rows of a result: c times what is for the lane's two rows.
template <class T, int W>
__device__ inline void put(const Rows<T>& to, int start, const float (&c)[W / 8][4], float first,
                           float second) {
    int lane = threadIdx.x % 32;
#pragma unroll
    for (int r = 0; r < 2; r++) {
        int row = start + threadIdx.x / 32 * 16 + lane / 4 + 8 * r;
        if (row >= to.count) continue;
        T* at = to.at + row * to.step + lane % 4 * 2;
        float by = r ? second : first;
#pragma unroll
        for (int j = 0; j < W / 8; j++) {
            int left = to.width - (8 * j + lane % 4 * 2);
            if (to.even && left > 0) {
                *(u32*)(at + 8 * j) = word<T>(c[j][2 * r] * by, c[j][2 * r + 1] * by);
            } else {
                if (left > 0) narrow(c[j][2 * r] * by, at[8 * j]);
                if (left > 1) narrow(c[j][2 * r + 1] * by, at[8 * j + 1]);
            }
        }
    }
}

// A warp's products become scores, in powers of two. Rows are queries, or keys if TURNED.
template <bool TURNED, class T, int MET>
__device__ inline void score(float (&s)[MET / 8][4], const Scores<T>& scores, int own, int met) {
    int lane = threadIdx.x % 32;
    own += threadIdx.x / 32 * 16;
    bool whole = TURNED ? scores.whole(met, MET, own, 16) : scores.whole(own, 16, met, MET);
    own += lane / 4, met += lane % 4 * 2;
#pragma unroll
    for (int j = 0; j < MET / 8; j++)
#pragma unroll
        for (int i = 0; i < 4; i++) {
            int row = own + i / 2 * 8, column = met + 8 * j + i % 2;
            s[j][i] = whole ? s[j][i] * scores.scale
                            : scores.of(s[j][i], TURNED ? column : row, TURNED ? row : column);
        }
}

template <class T, int W> __device__ void forward_by_cores(const Forward<T>& f) {
    const int MET = Met<W>::rows;
    alignas(16) __shared__ char room[2][2][MET * W * 2];
    const Head at(f.size, f.size.queries, OWN, f.size.causal);
    int lane = threadIdx.x % 32, start = at.start, width = f.size.width;
    Rows<const T> q = f.q.of(at.batch, at.head), k = f.k.of(at.batch, at.head / f.size.group),
                  v = f.v.of(at.batch, at.head / f.size.group);
    Scores<T> scores = f.scores(at);
    u32 a[W / 16][4];
    bring<T, W, OWN>(room[0][0], q, start);
    end_group();
    wait_for_groups<0>();
    __syncthreads();
    take<W>(a, room[0][0]);
    __syncthreads();
    float total[W / 8][4], top[2] = {-infinity<float>(), -infinity<float>()}, sum[2] = {0, 0};
    clear(total);
    int last = scores.causal ? least(k.count, start + OWN) : k.count;
    bring<T, W, MET>(room[0][0], k, 0);
    bring<T, W, MET>(room[0][1], v, 0);
    end_group();
    for (int tile = 0, s = 0; tile < last; tile += MET, s ^= 1) {
        wait_for_groups<0>();
        __syncthreads();  // what was fetched is there, and the other half is read no more
        if (tile + MET < last) {
            bring<T, W, MET>(room[s ^ 1][0], k, tile + MET);
            bring<T, W, MET>(room[s ^ 1][1], v, tile + MET);
        }
        end_group();
        float p[MET / 8][4];
        clear(p);
        by_rows<T, W, MET>(p, a, room[s][0], width);
        score<false, T, MET>(p, scores, start, tile);
#pragma unroll
        for (int r = 0; r < 2; r++) {
            float peak = top[r];
#pragma unroll
            for (int j = 0; j < MET / 8; j++)
                peak = fmaxf(peak, fmaxf(p[j][2 * r], p[j][2 * r + 1]));
            peak = fmaxf(peak, __shfl_xor_sync(0xffffffffu, peak, 1));
            peak = fmaxf(peak, __shfl_xor_sync(0xffffffffu, peak, 2));
            float base = peak == -infinity<float>() ? 0.0f : peak, shrink = exp2_(top[r] - base);
            top[r] = peak;
            sum[r] *= shrink;
#pragma unroll
            for (int j = 0; j < W / 8; j++)
                total[j][2 * r] *= shrink, total[j][2 * r + 1] *= shrink;
#pragma unroll
            for (int j = 0; j < MET / 8; j++)
#pragma unroll
                for (int i = 2 * r; i < 2 * r + 2; i++) sum[r] += p[j][i] = exp2_(p[j][i] - base);
        }
        add_up<T, W, MET>(total, p, room[s][1], width);
    }
#pragma unroll
    for (int r = 0; r < 2; r++) {
        sum[r] += __shfl_xor_sync(0xffffffffu, sum[r], 1);
        sum[r] += __shfl_xor_sync(0xffffffffu, sum[r], 2);
        int row = start + threadIdx.x / 32 * 16 + lane / 4 + 8 * r;
        if (lane % 4 == 0 && row < q.count) f.logs[at.rows + row] = scores.log_of(top[r], sum[r]);
    }
    put<T, W>(f.out.of(at.batch, at.head), start, total, scores.share_of(sum[0]),
              scores.share_of(sum[1]));
}

// The gradient of q, for a block's rows of queries: keys and values are met.
template <class T, int W> __device__ void for_queries_by_cores(const Backward<T>& f) {
    const int MET = Met<W>::rows;
    alignas(16) __shared__ char room[2][2][MET * W * 2];
    const Head at(f.size, f.size.queries, OWN, f.size.causal);
    int lane = threadIdx.x % 32, start = at.start, width = f.size.width;
    Rows<const T> q = f.q.of(at.batch, at.head), g = f.g.of(at.batch, at.head),
                  k = f.k.of(at.batch, at.head / f.size.group),
                  v = f.v.of(at.batch, at.head / f.size.group);
    Scores<T> scores = f.scores(at);
    u32 a[W / 16][4], b[W / 16][4];
    bring<T, W, OWN>(room[0][0], q, start);  // 64 rows are as large as two tiles, at most
    bring<T, W, OWN>(room[1][0], g, start);
    end_group();
    wait_for_groups<0>();
    __syncthreads();
    take<W>(a, room[0][0]);
    take<W>(b, room[1][0]);
    __syncthreads();
    float log[2], slope[2], total[W / 8][4];
    clear(total);
#pragma unroll
    for (int r = 0; r < 2; r++) {
        int row = start + threadIdx.x / 32 * 16 + lane / 4 + 8 * r;
        log[r] = row < q.count ? f.logs[at.rows + row] * (float)LOG2E : 0.0f;
        slope[r] = row < q.count ? f.slopes[at.rows + row] : 0.0f;
    }
    int last = scores.causal ? least(k.count, start + OWN) : k.count;
    bring<T, W, MET>(room[0][0], k, 0);
    bring<T, W, MET>(room[0][1], v, 0);
    end_group();
    for (int tile = 0, s = 0; tile < last; tile += MET, s ^= 1) {
        wait_for_groups<0>();
        __syncthreads();
        if (tile + MET < last) {
            bring<T, W, MET>(room[s ^ 1][0], k, tile + MET);
            bring<T, W, MET>(room[s ^ 1][1], v, tile + MET);
        }
        end_group();
        float p[MET / 8][4], d[MET / 8][4];
        clear(p);
        clear(d);
        by_rows<T, W, MET>(p, a, room[s][0], width);
        score<false, T, MET>(p, scores, start, tile);
        by_rows<T, W, MET>(d, b, room[s][1], width);
#pragma unroll
        for (int j = 0; j < MET / 8; j++)
#pragma unroll
            for (int i = 0; i < 4; i++)
                d[j][i] = slope_of(exp2_(p[j][i] - log[i / 2]), d[j][i], slope[i / 2]);
        add_up<T, W, MET>(total, d, room[s][0], width);
    }
    put<T, W>(f.first.of(at.batch, at.head), start, total, f.size.scale, f.size.scale);
}

// The gradients of k and v, for a block's rows of keys: queries and what arrives are met, of all
// the heads that a head of keys serves.
template <class T, int W> __device__ void for_keys_by_cores(const Backward<T>& f) {
    const int MET = W <= 64 ? 32 : 16;
    const int ROOM = 2 * MET * W * 2 < OWN * W * 2 ? OWN * W : 2 * MET * W;
    alignas(16) __shared__ char room[2][ROOM * 2];
    __shared__ float about[2][2][MET];  // logarithms and slopes
    const Head at(f.size, f.size.keys, OWN, false, f.size.heads / f.size.group);
    int lane = threadIdx.x % 32, start = at.start, width = f.size.width;
    Rows<const T> k = f.k.of(at.batch, at.head), v = f.v.of(at.batch, at.head);
    u32 a[W / 16][4], b[W / 16][4];
    bring<T, W, OWN>(room[0], k, start);
    bring<T, W, OWN>(room[1], v, start);
    end_group();
    wait_for_groups<0>();
    __syncthreads();
    take<W>(a, room[0]);
    take<W>(b, room[1]);
    __syncthreads();
    int queries = f.size.queries, first = f.size.causal ? start / MET * MET : 0;
    int each = first < queries ? (queries - first + MET - 1) / MET : 0;
    auto fetch = [&](int step, int s) {
        int head = at.head * f.size.group + step / each, tile = first + step % each * MET;
        bring<T, W, MET>(room[s], f.q.of(at.batch, head), tile);
        bring<T, W, MET>(room[s] + MET * W * 2, f.g.of(at.batch, head), tile);
        i64 row = ((i64)at.batch * f.size.heads + head) * queries + tile;
        int i = threadIdx.x;
        if (i < MET) {
            fetch_ahead<4>(&about[s][0][i], f.logs + row + i, tile + i < queries);
            fetch_ahead<4>(&about[s][1][i], f.slopes + row + i, tile + i < queries);
        }
    };
    float for_k[W / 8][4], for_v[W / 8][4];
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
        char* met = room[s];
        float p[MET / 8][4], d[MET / 8][4];
        clear(p);
        clear(d);
        by_rows<T, W, MET>(p, a, met, width);
        score<true, T, MET>(p, scores, start, tile);
        by_rows<T, W, MET>(d, b, met + MET * W * 2, width);
#pragma unroll
        for (int j = 0; j < MET / 8; j++)
#pragma unroll
            for (int i = 0; i < 4; i++) {
                int column = 8 * j + lane % 4 * 2 + i % 2;
                p[j][i] = exp2_(p[j][i] - about[s][0][column] * (float)LOG2E);
                d[j][i] = slope_of(p[j][i], d[j][i], about[s][1][column]);
            }
        add_up<T, W, MET>(for_v, p, met + MET * W * 2, width);
        add_up<T, W, MET>(for_k, d, met, width);
    }
    put<T, W>(f.first.of(at.batch, at.head), start, for_k, f.size.scale, f.size.scale);
    put<T, W>(f.second.of(at.batch, at.head), start, for_v, 1.0f, 1.0f);
}
