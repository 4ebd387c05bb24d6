// Softmax and log-softmax along the last dimension (rows) or another one (columns), and gradients.
//
// Rows that fit into registers are read once. Others, and columns, are read twice: the largest
// element and the sum of the exponentials are found in one pass (Milakov and Gimelshein, "Online
// normalizer calculation for softmax", 2018).

#undef THREADS
#define THREADS 1024

// The largest element so far, and the sum of e^(x - largest). Minus infinity adds nothing, until
// nothing else is there: then 0 / 0 makes NaN of the row.
template <class A> struct Peak {
    A top, sum;
    __device__ Peak() : top(-infinity<A>()), sum(A(0)) {}
    __device__ void add(A x) {
        if (x > top) {
            sum = sum * exp_(top - x) + A(1);
            if (x == infinity<A>()) sum = not_a_number<A>();
            top = x;
        } else if (x != -infinity<A>()) {
            sum += exp_(x - top);
        }
    }
    template <class G> __device__ void join() {
        A all = G::max(top);
        sum = G::sum(top == -infinity<A>() && sum == A(0) ? A(0) : sum * exp_(top - all));
        top = all;
    }
};

template <class T, class G, bool LOG>
__device__ void softmax_of_row(const T* x, T* y, i64 rows, i64 width) {
    typedef typename Wide<T>::type A;
    i64 row = G::row();
    if (row >= rows) return;
    const T* const lines[1] = {x + row * width};
    if (Line<T, G>::fits(width)) {
        Line<T, G> line(lines[0], width, true);
        A top = -infinity<A>(), sum = A(0);
        line.each([&](int k, i64) { top = Max()(line.at[k], top); });
        top = G::max(top);
        line.each([&](int k, i64) {
            A v = line.at[k] - top, e = exp_(v);
            sum += e;
            line.at[k] = LOG ? v : e;
        });
        sum = G::sum(sum);
        A share = LOG ? log_(sum) : A(1) / sum;
        const T* const none[1] = {nullptr};
        line.put(none, y + row * width, [&](int k, i64, const A*) {
            return LOG ? line.at[k] - share : line.at[k] * share;
        });
        return;
    }
    Peak<A> peak;
    visit(lines, width, G::lane(), G::lanes(), [&](i64, const A* v) { peak.add(v[0]); });
    peak.template join<G>();
    A top = peak.top, share = LOG ? log_(peak.sum) : A(1) / peak.sum;
    rewrite(lines, y + row * width, width, G::lane(), G::lanes(), [&](i64, const A* v) {
        return LOG ? (v[0] - top) - share : exp_(v[0] - top) * share;
    });
}

template <class T, class G, bool LOG>
__device__ void softmax_backward_of_row(const T* g, const T* y, T* out, i64 rows, i64 width) {
    typedef typename Wide<T>::type A;
    i64 row = G::row();
    if (row >= rows) return;
    const T* const lines[2] = {g + row * width, y + row * width};
    A sum = A(0);
    if (Line<T, G, 2>::fits(width)) {
        bool both = even(lines[0]) && even(lines[1]);
        Line<T, G, 2> gs(lines[0], width, both), ys(lines[1], width, both);
        gs.each([&](int k, i64) { sum += LOG ? gs.at[k] : gs.at[k] * ys.at[k]; });
        sum = G::sum(sum);
        const T* const none[1] = {nullptr};
        gs.put(none, out + row * width, [&](int k, i64, const A*) {
            return LOG ? gs.at[k] - exp_(ys.at[k]) * sum : ys.at[k] * (gs.at[k] - sum);
        });
        return;
    }
    visit(lines, width, G::lane(), G::lanes(), [&](i64, const A* v) {
        sum += LOG ? v[0] : v[0] * v[1];
    });
    sum = G::sum(sum);
    rewrite(lines, out + row * width, width, G::lane(), G::lanes(), [&](i64, const A* v) {
        return LOG ? v[0] - exp_(v[1]) * sum : v[1] * (v[0] - sum);
    });
}

// Seen as (outer, width, inner): a thread for each column.
template <class T, bool LOG>
__device__ void softmax_of_column(const T* x, T* y, i64 outer, i64 width, i64 inner) {
    typedef typename Wide<T>::type A;
    for (i64 i = thread_number(); i < outer * inner; i += thread_count()) {
        i64 first = i / inner * width * inner + i % inner;
        Peak<A> peak;
        for (i64 k = 0; k < width; k++) peak.add(wide(x[first + k * inner]));
        A share = LOG ? log_(peak.sum) : A(1) / peak.sum;
        for (i64 k = 0; k < width; k++) {
            A v = wide(x[first + k * inner]) - peak.top;
            narrow(LOG ? v - share : exp_(v) * share, y[first + k * inner]);
        }
    }
}

template <class T, bool LOG>
__device__ void softmax_backward_of_column(const T* g, const T* y, T* out, i64 outer, i64 width,
                                           i64 inner) {
    typedef typename Wide<T>::type A;
    for (i64 i = thread_number(); i < outer * inner; i += thread_count()) {
        i64 first = i / inner * width * inner + i % inner;
        A sum = A(0);
        for (i64 k = 0; k < width; k++) {
            A v = wide(g[first + k * inner]);
            sum += LOG ? v : v * wide(y[first + k * inner]);
        }
        for (i64 k = 0; k < width; k++) {
            A v = wide(g[first + k * inner]), r = wide(y[first + k * inner]);
            narrow(LOG ? v - exp_(r) * sum : r * (v - sum), out[first + k * inner]);
        }
    }
}

#define FORWARD(name, log) \
    KERNEL(name##_warps, (const T* x, T* y, i64 rows, i64 width), \
           softmax_of_row<T, OneWarp, log>(x, y, rows, width)) \
    KERNEL(name##_blocks, (const T* x, T* y, i64 rows, i64 width), \
           softmax_of_row<T, OneBlock, log>(x, y, rows, width)) \
    KERNEL(name##_columns, (const T* x, T* y, i64 outer, i64 width, i64 inner), \
           softmax_of_column<T, log>(x, y, outer, width, inner))
#define BACKWARD(name, log) \
    KERNEL(name##_warps, (const T* g, const T* y, T* out, i64 rows, i64 width), \
           softmax_backward_of_row<T, OneWarp, log>(g, y, out, rows, width)) \
    KERNEL(name##_blocks, (const T* g, const T* y, T* out, i64 rows, i64 width), \
           softmax_backward_of_row<T, OneBlock, log>(g, y, out, rows, width)) \
    KERNEL(name##_columns, \
           (const T* g, const T* y, T* out, i64 outer, i64 width, i64 inner), \
           softmax_backward_of_column<T, log>(g, y, out, outer, width, inner))
FORWARD(softmax, false)
FORWARD(log_softmax, true)
BACKWARD(softmax_backward, false)
BACKWARD(log_softmax_backward, true)
