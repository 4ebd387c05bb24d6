// What a debugger asks of every tensor, in one pass: how many elements are NaN, infinite and zero,
// the least and the greatest, their sum and the sum of their squares; what is found stays on the
// device. Sums are taken in float64; what a thread counts and compares it does in the type that it
// reads, for few devices have many units for float64.

struct Health {
    double nan, inf, zeros, low, high, total, squares;
    __device__ Health()
        : nan(0), inf(0), zeros(0), low(infinity<double>()), high(-infinity<double>()), total(0),
          squares(0) {}
    __device__ void put(double* out) const {
        double all[7] = {nan, inf, zeros, low, high, total, squares};
        for (int k = 0; k < 7; k++) out[k] = all[k];
    }
};

template <class A> struct Seen {
    u32 nan, inf, zeros;
    A low, high;
    double total, squares;
    __device__ Seen()
        : nan(0), inf(0), zeros(0), low(infinity<A>()), high(-infinity<A>()), total(0),
          squares(0) {}
    __device__ void add(A v) {
        nan += v != v;
        inf += v == infinity<A>() || v == -infinity<A>();
        zeros += v == A(0);
        if (v < low) low = v;
        if (v > high) high = v;
        double d = (double)v;
        total += d;
        squares += d * d;
    }
    __device__ Health all() const {
        Health h;
        h.nan = nan, h.inf = inf, h.zeros = zeros;
        h.low = (double)low, h.high = (double)high;
        h.total = total, h.squares = squares;
        return h;
    }
};

struct Min {
    __device__ double operator()(double a, double b) const { return a < b ? a : b; }
};

__device__ inline void whole_block(Health& h) {
    h.nan = of_block(h.nan, Add(), 0.0);
    h.inf = of_block(h.inf, Add(), 0.0);
    h.zeros = of_block(h.zeros, Add(), 0.0);
    h.low = of_block(h.low, Min(), infinity<double>());
    h.high = of_block(h.high, Max(), -infinity<double>());
    h.total = of_block(h.total, Add(), 0.0);
    h.squares = of_block(h.squares, Add(), 0.0);
}

template <class T> __device__ void health_of(const T* x, double* parts, i64 n) {
    typedef typename Wide<T>::type A;
    const T* const in[1] = {x};
    Seen<A> seen;
    visit(in, n, thread_number(), thread_count(), [&](i64, const A* v) { seen.add(v[0]); });
    Health h = seen.all();
    whole_block(h);
    if (threadIdx.x == 0) h.put(parts + 7 * blockIdx.x);
}

// One block: the parts of all blocks as one.
__device__ inline void joined_health(const double* parts, double* out, i64 blocks) {
    Health h;
    for (i64 k = threadIdx.x; k < blocks; k += blockDim.x) {
        const double* p = parts + 7 * k;
        h.nan += p[0];
        h.inf += p[1];
        h.zeros += p[2];
        h.low = Min()(h.low, p[3]);
        h.high = Max()(h.high, p[4]);
        h.total += p[5];
        h.squares += p[6];
    }
    whole_block(h);
    if (threadIdx.x == 0) h.put(out), out[7] = 0;
}

// Sums of squared differences from the mean, whose total is in `found`; a part for each block.
template <class T>
__device__ void spread_of(const T* x, const double* found, double* parts, i64 n) {
    typedef typename Wide<T>::type A;
    const T* const in[1] = {x};
    double mean = found[5] / (double)n, sum = 0;
    visit(in, n, thread_number(), thread_count(), [&](i64, const A* v) {
        double d = (double)v[0] - mean;
        sum += d * d;
    });
    sum = of_block(sum, Add(), 0.0);
    if (threadIdx.x == 0) parts[blockIdx.x] = sum;
}
__device__ inline void joined_spread(const double* parts, double* out, i64 blocks) {
    double sum = 0;
    for (i64 k = threadIdx.x; k < blocks; k += blockDim.x) sum += parts[k];
    sum = of_block(sum, Add(), 0.0);
    if (threadIdx.x == 0) out[7] = sum;
}

// All of it by one block, for arrays so small that a launch takes longer than to read them.
template <class T>
__device__ void health_at_once(const T* x, double* out, i64 n, bool spread) {
    typedef typename Wide<T>::type A;
    const T* const in[1] = {x};
    Seen<A> seen;
    visit(in, n, threadIdx.x, blockDim.x, [&](i64, const A* v) { seen.add(v[0]); });
    Health h = seen.all();
    whole_block(h);
    double mean = h.total / (double)n, sum = 0;
    if (spread) {
        visit(in, n, threadIdx.x, blockDim.x, [&](i64, const A* v) {
            double d = (double)v[0] - mean;
            sum += d * d;
        });
        sum = of_block(sum, Add(), 0.0);
    }
    if (threadIdx.x == 0) h.put(out), out[7] = sum;
}

KERNEL(health_at_once, (const T* x, double* out, i64 n, i64 spread),
       health_at_once(x, out, n, spread != 0))
KERNEL(health, (const T* x, double* parts, i64 n), health_of(x, parts, n))
KERNEL(health_joined, (const T* like, const double* parts, double* out, i64 blocks),
       joined_health(parts, out, blocks))
KERNEL(spread, (const T* x, const double* found, double* parts, i64 n),
       spread_of(x, found, parts, n))
KERNEL(spread_joined, (const T* like, const double* parts, double* out, i64 blocks),
       joined_spread(parts, out, blocks))
