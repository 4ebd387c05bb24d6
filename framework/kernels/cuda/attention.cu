// Scaled dot product attention without the matrix of scores (Dao et al., "FlashAttention", 2022):
// tiles of 32 keys are met in turn, sums are rescaled as the largest score grows. Queries, keys and
// values are (batch, length, width). A block has four warps with two rows each; a lane has a key of
// the tile while scores are made, and every 32nd element of a row while rows are added up.

template <class T> struct Most { static const int width = 128; };
template <> struct Most<double> { static const int width = 64; };

const int TILE = 32, OWN = 8, WARPS = 4, EACH = OWN / WARPS;

template <class T> struct Tiles {
    typedef typename Wide<T>::type A;
    A first[TILE][Most<T>::width + 1], second[TILE][Most<T>::width + 1];  // of what is met
    A mine[OWN][Most<T>::width], mine_too[OWN][Most<T>::width];           // of the block's rows
    A shares[OWN][TILE], more[OWN][TILE];
};

// Rows `start` to `start + count` of x, zero where there are none.
template <class T, int STRIDE>
__device__ void fetch(const T* x, typename Wide<T>::type (*to)[STRIDE], i64 start, int count,
                      i64 length, i64 width) {
    for (int i = threadIdx.x; i < count * width; i += blockDim.x) {
        i64 row = start + i / width;
        to[i / width][i % width] = row < length ? wide(x[row * width + i % width]) : 0;
    }
}

template <class A> __device__ A product(const A* a, const A* b, i64 width) {
    A sum = A(0);
    for (i64 d = 0; d < width; d++) sum += a[d] * b[d];
    return sum;
}

template <class T>
__device__ void attention_of(const T* q, const T* k, const T* v, T* out,
                             typename Wide<T>::type* logs, i64 queries, i64 keys, i64 width,
                             double scale, i64 causal) {
    typedef typename Wide<T>::type A;
    __shared__ Tiles<T> t;
    int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    i64 blocks = (queries + OWN - 1) / OWN, batch = blockIdx.x / blocks;
    i64 start = blockIdx.x % blocks * OWN;
    q += batch * queries * width;
    k += batch * keys * width;
    v += batch * keys * width;
    fetch<T>(q, t.mine, start, OWN, queries, width);
    A top[EACH], sum[EACH], total[EACH][Most<T>::width / 32];
    for (int r = 0; r < EACH; r++) {
        top[r] = -infinity<A>();
        sum[r] = A(0);
        for (int e = 0; e < Most<T>::width / 32; e++) total[r][e] = A(0);
    }
    i64 last = causal && start + OWN < keys ? start + OWN : keys;
    for (i64 tile = 0; tile < last; tile += TILE) {
        __syncthreads();
        fetch<T>(k, t.first, tile, TILE, keys, width);
        fetch<T>(v, t.second, tile, TILE, keys, width);
        __syncthreads();
        for (int r = 0; r < EACH; r++) {
            int row = warp * EACH + r;
            bool seen = tile + lane < keys && (!causal || tile + lane <= start + row);
            A s = seen ? product(t.mine[row], t.first[lane], width) * A(scale) : -infinity<A>();
            A peak = of_warp(s, Max());
            if (peak > top[r] || peak != peak) {
                A shrink = top[r] == -infinity<A>() ? A(0) : exp_(top[r] - peak);
                sum[r] *= shrink;
                for (int e = 0; e < Most<T>::width / 32; e++) total[r][e] *= shrink;
                top[r] = peak;
            }
            A share = seen ? exp_(s - top[r]) : A(0);
            sum[r] += of_warp(share, Add());
            t.shares[row][lane] = share;
            __syncwarp();
            int count = keys - tile < TILE ? (int)(keys - tile) : TILE;
            for (int e = 0; lane + 32 * e < width; e++)
                for (int j = 0; j < count; j++)
                    total[r][e] += t.shares[row][j] * t.second[j][lane + 32 * e];
            __syncwarp();
        }
    }
    for (int r = 0; r < EACH; r++) {
        i64 row = start + warp * EACH + r;
        if (row >= queries) continue;
        for (int e = 0; lane + 32 * e < width; e++)
            narrow(total[r][e] / sum[r], out[(batch * queries + row) * width + lane + 32 * e]);
        if (lane == 0) logs[batch * queries + row] = top[r] + log_(sum[r]);
    }
}

// sum(g out) less what arrives for the logarithms: one warp for each row.
template <class T>
__device__ void slopes_of(const T* g, const T* out, const typename Wide<T>::type* for_logs,
                          typename Wide<T>::type* slopes, i64 rows, i64 width) {
    typedef typename Wide<T>::type A;
    i64 row = OneWarp::row();
    if (row >= rows) return;
    const T* const in[2] = {g + row * width, out + row * width};
    A sum = A(0);
    visit(in, width, OneWarp::lane(), 32, [&](i64, const A* v) { sum += v[0] * v[1]; });
    sum = of_warp(sum, Add());
    if (OneWarp::lane() == 0) slopes[row] = for_logs ? sum - for_logs[row] : sum;
}

// The gradient of q, for a block's rows of queries: keys and values are met.
template <class T>
__device__ void for_queries_of(const T* g, const T* q, const T* k, const T* v,
                               const typename Wide<T>::type* logs,
                               const typename Wide<T>::type* slopes, T* dq, i64 queries, i64 keys,
                               i64 width, double scale, i64 causal) {
    typedef typename Wide<T>::type A;
    __shared__ Tiles<T> t;
    int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    i64 blocks = (queries + OWN - 1) / OWN, batch = blockIdx.x / blocks;
    i64 start = blockIdx.x % blocks * OWN;
    fetch<T>(q + batch * queries * width, t.mine, start, OWN, queries, width);
    fetch<T>(g + batch * queries * width, t.mine_too, start, OWN, queries, width);
    A total[EACH][Most<T>::width / 32];
    for (int r = 0; r < EACH; r++)
        for (int e = 0; e < Most<T>::width / 32; e++) total[r][e] = A(0);
    i64 last = causal && start + OWN < keys ? start + OWN : keys;
    for (i64 tile = 0; tile < last; tile += TILE) {
        __syncthreads();
        fetch<T>(k + batch * keys * width, t.first, tile, TILE, keys, width);
        fetch<T>(v + batch * keys * width, t.second, tile, TILE, keys, width);
        __syncthreads();
        for (int r = 0; r < EACH; r++) {
            int row = warp * EACH + r;
            i64 place = start + row, at = batch * queries + place;
            bool seen = place < queries && tile + lane < keys && (!causal || tile + lane <= place);
            A d = A(0);
            if (seen) {
                A s = product(t.mine[row], t.first[lane], width) * A(scale);
                A slope = product(t.mine_too[row], t.second[lane], width) - slopes[at];
                d = exp_(s - logs[at]) * slope * A(scale);
            }
            t.shares[row][lane] = d;
            __syncwarp();
            int count = keys - tile < TILE ? (int)(keys - tile) : TILE;
            for (int e = 0; lane + 32 * e < width; e++)
                for (int j = 0; j < count; j++)
                    total[r][e] += t.shares[row][j] * t.first[j][lane + 32 * e];
            __syncwarp();
        }
    }
    for (int r = 0; r < EACH; r++) {
        i64 row = start + warp * EACH + r;
        if (row >= queries) continue;
        for (int e = 0; lane + 32 * e < width; e++)
            narrow(total[r][e], dq[(batch * queries + row) * width + lane + 32 * e]);
    }
}

// The gradients of k and v, for a block's rows of keys: queries and what arrives are met.
template <class T>
__device__ void for_keys_of(const T* g, const T* q, const T* k, const T* v,
                            const typename Wide<T>::type* logs,
                            const typename Wide<T>::type* slopes, T* dk, T* dv, i64 queries,
                            i64 keys, i64 width, double scale, i64 causal) {
    typedef typename Wide<T>::type A;
    __shared__ Tiles<T> t;
    int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    i64 blocks = (keys + OWN - 1) / OWN, batch = blockIdx.x / blocks;
    i64 start = blockIdx.x % blocks * OWN;
    fetch<T>(k + batch * keys * width, t.mine, start, OWN, keys, width);
    fetch<T>(v + batch * keys * width, t.mine_too, start, OWN, keys, width);
    A for_k[EACH][Most<T>::width / 32], for_v[EACH][Most<T>::width / 32];
    for (int r = 0; r < EACH; r++)
        for (int e = 0; e < Most<T>::width / 32; e++) for_k[r][e] = for_v[r][e] = A(0);
    for (i64 tile = causal ? start / TILE * TILE : 0; tile < queries; tile += TILE) {
        __syncthreads();
        fetch<T>(q + batch * queries * width, t.first, tile, TILE, queries, width);
        fetch<T>(g + batch * queries * width, t.second, tile, TILE, queries, width);
        __syncthreads();
        for (int r = 0; r < EACH; r++) {
            int row = warp * EACH + r;
            i64 place = tile + lane, at = batch * queries + place;
            bool seen = place < queries && start + row < keys && (!causal || start + row <= place);
            A share = A(0), d = A(0);
            if (seen) {
                share = exp_(product(t.mine[row], t.first[lane], width) * A(scale) - logs[at]);
                d = share * (product(t.mine_too[row], t.second[lane], width) - slopes[at]);
            }
            t.shares[row][lane] = share;
            t.more[row][lane] = d * A(scale);
            __syncwarp();
            int count = queries - tile < TILE ? (int)(queries - tile) : TILE;
            for (int e = 0; lane + 32 * e < width; e++)
                for (int j = 0; j < count; j++) {
                    for_v[r][e] += t.shares[row][j] * t.second[j][lane + 32 * e];
                    for_k[r][e] += t.more[row][j] * t.first[j][lane + 32 * e];
                }
            __syncwarp();
        }
    }
    for (int r = 0; r < EACH; r++) {
        i64 row = start + warp * EACH + r;
        if (row >= keys) continue;
        for (int e = 0; lane + 32 * e < width; e++) {
            i64 at = (batch * keys + row) * width + lane + 32 * e;
            narrow(for_k[r][e], dk[at]);
            narrow(for_v[r][e], dv[at]);
        }
    }
}

KERNEL(attention,
       (const T* q, const T* k, const T* v, T* out, A* logs, i64 queries, i64 keys, i64 width,
        double scale, i64 causal),
       attention_of<T>(q, k, v, out, logs, queries, keys, width, scale, causal))
KERNEL(attention_slopes,
       (const T* g, const T* out, const A* for_logs, A* slopes, i64 rows, i64 width),
       slopes_of<T>(g, out, for_logs, slopes, rows, width))
KERNEL(attention_for_queries,
       (const T* g, const T* q, const T* k, const T* v, const A* logs, const A* slopes, T* dq,
        i64 queries, i64 keys, i64 width, double scale, i64 causal),
       for_queries_of<T>(g, q, k, v, logs, slopes, dq, queries, keys, width, scale, causal))
KERNEL(attention_for_keys,
       (const T* g, const T* q, const T* k, const T* v, const A* logs, const A* slopes, T* dk,
        T* dv, i64 queries, i64 keys, i64 width, double scale, i64 causal),
       for_keys_of<T>(g, q, k, v, logs, slopes, dk, dv, queries, keys, width, scale, causal))
