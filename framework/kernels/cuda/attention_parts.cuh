// What the two ways of attention share: where rows lie, and what scores are.
//
// Exponentials are powers of two, which the device has an instruction for: scores are multiplied by
// log2(e) with their scale. The logarithms that are handed over are natural ones.

const double LOG2E = 1.4426950408889634;

__device__ inline float exp2_(float x) { return exp2f(x); }
__device__ inline double exp2_(double x) { return exp2(x); }
__device__ inline int least(int a, int b) { return a < b ? a : b; }
template <class A> __device__ inline A largest(A a, A b) { return a > b ? a : b; }
__device__ inline float largest(float a, float b) { return fmaxf(a, b); }

template <class A, int M, int N> __device__ inline void clear(A (&c)[M][N]) {
#pragma unroll
    for (int i = 0; i < M; i++)
#pragma unroll
        for (int j = 0; j < N; j++) c[i][j] = A(0);
}

// The rows of a head. `even`: all their chunks of 16 bytes begin at such multiples.
template <class T> struct Rows {
    T* at;
    i64 step;
    int count, width;
    bool even;
};

// The rows of all heads of a tensor (batch, heads, rows, width), whose rows have no gaps.
template <class T> struct Places {
    T* at;
    i64 batch, head, row;
    int count, width;
    __device__ Rows<T> of(int b, int h) const {
        const int per = 16 / (int)sizeof(T);
        Rows<T> found = {at + b * batch + h * head, row, count, width, false};
        found.even = even(at) && (batch | head | row) % per == 0 && width % per == 0;
        return found;
    }
};

struct Size {
    int heads, group, queries, keys, width;  // a head of keys serves a group of heads
    double scale;
    bool causal;
};

// Which rows a block has. Those that meet most come first.
struct Head {
    int batch, head, start;
    i64 rows;  // the head's first one, in all
    __device__ Head(const Size& size, int count, int own, bool last_first, int heads) {
        int blocks = (count + own - 1) / own, all = gridDim.x / blocks;
        int block = blockIdx.x / all, number = blockIdx.x % all;
        batch = number / heads, head = number % heads;
        start = (last_first ? blocks - 1 - block : block) * own;
        rows = (i64)number * count;
    }
    __device__ Head(const Size& size, int count, int own, bool last_first)
        : Head(size, count, own, last_first, size.heads) {}
};

template <class T> struct Mask {  // null: none. Both are (batch, heads, queries, keys)
    const T* more;
    const unsigned char* seen;
    i64 batch, head, row, column;
};

template <class T> struct Scores {
    typedef typename Wide<T>::type A;
    const T* more;
    const unsigned char* seen;
    i64 row, column;
    int queries, keys;
    A scale;
    bool causal;

    // Whether all of a part are scores, of which nothing is hidden and nothing added.
    __device__ bool whole(int query, int high, int key, int broad) const {
        return !more && !seen && query + high <= queries && key + broad <= keys &&
               (!causal || key + broad - 1 <= query);
    }
    __device__ A of(A product, int query, int key) const {
        if (query >= queries || key >= keys || (causal && key > query)) return -infinity<A>();
        i64 at = query * row + key * column;
        if (seen && !seen[at]) return -infinity<A>();
        return more ? product * scale + wide(more[at]) * A(LOG2E) : product * scale;
    }
    // Rows that see nothing because of a mask are zero, and have no gradient; others are NaN.
    __device__ bool blind(A sum) const { return sum == A(0) && (more || seen); }
    __device__ A share_of(A sum) const { return blind(sum) ? A(0) : A(1) / sum; }
    __device__ A log_of(A top, A sum) const {
        if (sum == A(0)) return blind(sum) ? infinity<A>() : not_a_number<A>();
        return top * A(1 / LOG2E) + log_(sum);
    }
};

template <class T> __device__ inline Scores<T> scores_of(const Mask<T>& m, const Size& size,
                                                         int batch, int head) {
    typedef typename Wide<T>::type A;
    i64 at = batch * m.batch + head * m.head;
    return {m.more ? m.more + at : nullptr, m.seen ? m.seen + at : nullptr, m.row, m.column,
            size.queries, size.keys, A(size.scale * LOG2E), size.causal};
}

template <class T> struct Forward {
    typedef typename Wide<T>::type A;
    Places<const T> q, k, v;
    Places<T> out;
    A* logs;  // (batch, heads, queries), as are slopes
    Mask<T> mask;
    Size size;
    __device__ Scores<T> scores(const Head& at) const {
        return scores_of(mask, size, at.batch, at.head);
    }
};

template <class T> struct Backward {
    typedef typename Wide<T>::type A;
    Places<const T> g, q, k, v;
    const A *logs, *slopes;
    Places<T> first, second;  // the gradient of q, or those of k and v
    Mask<T> mask;
    Size size;
    __device__ Scores<T> scores(const Head& at) const {
        return scores_of(mask, size, at.batch, at.head);
    }
    __device__ Scores<T> scores(const Head& at, int head) const {
        return scores_of(mask, size, at.batch, head);
    }
};

// The gradient of a score; what has no share has none.
template <class A> __device__ inline A slope_of(A share, A d, A slope) {
    return share == A(0) ? A(0) : share * (d - slope);
}
