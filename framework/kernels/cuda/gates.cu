// What the gates of LSTM and GRU cells make of their sums, and gradients: rows are sequences, the
// gates of a row lie side by side. A thread has one element of the state, or 16 bytes of them.

template <class T, int N> struct alignas(sizeof(T) * N) Some {
    T at[N];
    __device__ typename Wide<T>::type operator[](int k) const { return wide(at[k]); }
};
template <int N, class T> __device__ inline Some<T, N> some(const T* p) {
    return *(const Some<T, N>*)p;
}
template <class T, int N> __device__ inline void put(const Some<T, N>& v, T* p) {
    *(Some<T, N>*)p = v;
}

// f(i, n, j): element j of row n, whose place among the states is i.
template <int N, class F> __device__ inline void each_state(i64 rows, i64 width, F f) {
    for (i64 i = thread_number() * N; i < rows * width; i += thread_count() * N)
        f(i, i / width, i % width);
}

template <class T> __device__ inline bool in_packs(i64 width) {
    return width % Pack<T>::count == 0;
}

template <class T, int N>
__device__ void lstm_of(const T* x, const T* s, const T* c, T* h_out, T* c_out, i64 rows,
                        i64 width) {
    typedef typename Wide<T>::type A;
    each_state<N>(rows, width, [&](i64 at, i64 n, i64 j) {
        const T *xs = x + 4 * n * width + j, *ss = s + 4 * n * width + j;
        Some<T, N> xi = some<N>(xs), xf = some<N>(xs + width), xg = some<N>(xs + 2 * width),
                   xo = some<N>(xs + 3 * width), si = some<N>(ss), sf = some<N>(ss + width),
                   sg = some<N>(ss + 2 * width), so = some<N>(ss + 3 * width),
                   old = some<N>(c + at), h, state;
        for (int k = 0; k < N; k++) {
            A v = sigmoid_(xf[k] + sf[k]) * old[k] + sigmoid_(xi[k] + si[k]) * tanh_(xg[k] + sg[k]);
            narrow(v, state.at[k]);
            narrow(sigmoid_(xo[k] + so[k]) * tanh_(v), h.at[k]);
        }
        put(h, h_out + at);
        put(state, c_out + at);
    });
}

template <class T, int N>
__device__ void lstm_backward_of(const T* gh, const T* gc, const T* x, const T* s, const T* c,
                                 const T* state, T* d, T* dc, i64 rows, i64 width) {
    typedef typename Wide<T>::type A;
    each_state<N>(rows, width, [&](i64 at, i64 n, i64 j) {
        const T *xs = x + 4 * n * width + j, *ss = s + 4 * n * width + j;
        Some<T, N> xi = some<N>(xs), xf = some<N>(xs + width), xg = some<N>(xs + 2 * width),
                   xo = some<N>(xs + 3 * width), si = some<N>(ss), sf = some<N>(ss + width),
                   sg = some<N>(ss + 2 * width), so = some<N>(ss + 3 * width),
                   old = some<N>(c + at), now = some<N>(state + at), h = some<N>(gh + at),
                   r = some<N>(gc + at), di, df, dg, dO, dold;
        for (int k = 0; k < N; k++) {
            A i = sigmoid_(xi[k] + si[k]), f = sigmoid_(xf[k] + sf[k]);
            A g = tanh_(xg[k] + sg[k]), o = sigmoid_(xo[k] + so[k]), t = tanh_(now[k]);
            A inner = r[k] + h[k] * o * (A(1) - t * t);
            narrow(inner * g * i * (A(1) - i), di.at[k]);
            narrow(inner * old[k] * f * (A(1) - f), df.at[k]);
            narrow(inner * i * (A(1) - g * g), dg.at[k]);
            narrow(h[k] * t * o * (A(1) - o), dO.at[k]);
            narrow(inner * f, dold.at[k]);
        }
        T* ds = d + 4 * n * width + j;
        put(di, ds);
        put(df, ds + width);
        put(dg, ds + 2 * width);
        put(dO, ds + 3 * width);
        put(dold, dc + at);
    });
}

template <class T, int N>
__device__ void gru_of(const T* x, const T* s, const T* h, T* out, i64 rows, i64 width) {
    typedef typename Wide<T>::type A;
    each_state<N>(rows, width, [&](i64 at, i64 n, i64 j) {
        const T *xs = x + 3 * n * width + j, *ss = s + 3 * n * width + j;
        Some<T, N> xr = some<N>(xs), xz = some<N>(xs + width), xn = some<N>(xs + 2 * width),
                   sr = some<N>(ss), sz = some<N>(ss + width), sn = some<N>(ss + 2 * width),
                   old = some<N>(h + at), y;
        for (int k = 0; k < N; k++) {
            A v = tanh_(xn[k] + sigmoid_(xr[k] + sr[k]) * sn[k]);
            narrow(v + sigmoid_(xz[k] + sz[k]) * (old[k] - v), y.at[k]);
        }
        put(y, out + at);
    });
}

template <class T, int N>
__device__ void gru_backward_of(const T* g, const T* x, const T* s, const T* h, T* dx, T* ds,
                                T* dh, i64 rows, i64 width) {
    typedef typename Wide<T>::type A;
    each_state<N>(rows, width, [&](i64 at, i64 n, i64 j) {
        i64 first = 3 * n * width + j;
        Some<T, N> xr = some<N>(x + first), xz = some<N>(x + first + width),
                   xn = some<N>(x + first + 2 * width), sr = some<N>(s + first),
                   sz = some<N>(s + first + width), sn = some<N>(s + first + 2 * width),
                   old = some<N>(h + at), d = some<N>(g + at), r_, z_, nx, ns, back;
        for (int k = 0; k < N; k++) {
            A r = sigmoid_(xr[k] + sr[k]), z = sigmoid_(xz[k] + sz[k]);
            A v = tanh_(xn[k] + r * sn[k]);
            A dn = d[k] * (A(1) - z) * (A(1) - v * v);
            narrow(dn * sn[k] * r * (A(1) - r), r_.at[k]);
            narrow(d[k] * (old[k] - v) * z * (A(1) - z), z_.at[k]);
            narrow(dn, nx.at[k]);
            narrow(dn * r, ns.at[k]);
            narrow(d[k] * z, back.at[k]);
        }
        put(r_, dx + first);
        put(r_, ds + first);
        put(z_, dx + first + width);
        put(z_, ds + first + width);
        put(nx, dx + first + 2 * width);
        put(ns, ds + first + 2 * width);
        put(back, dh + at);
    });
}

// Sixteen bytes at a time where rows and arrays begin evenly.
#define WIDE_OR_SINGLE(name, evenly, ...) \
    if (in_packs<T>(width) && (evenly)) \
        name<T, Pack<T>::count>(__VA_ARGS__); \
    else \
        name<T, 1>(__VA_ARGS__)

KERNEL(lstm, (const T* x, const T* s, const T* c, T* h_out, T* c_out, i64 rows, i64 width),
       WIDE_OR_SINGLE(lstm_of, even(x) && even(s) && even(c) && even(h_out) && even(c_out), x, s,
                      c, h_out, c_out, rows, width))
KERNEL(lstm_backward,
       (const T* gh, const T* gc, const T* x, const T* s, const T* c, const T* state, T* d, T* dc,
        i64 rows, i64 width),
       WIDE_OR_SINGLE(lstm_backward_of,
                      even(gh) && even(gc) && even(x) && even(s) && even(c) && even(state) &&
                          even(d) && even(dc),
                      gh, gc, x, s, c, state, d, dc, rows, width))
KERNEL(gru, (const T* x, const T* s, const T* h, T* out, i64 rows, i64 width),
       WIDE_OR_SINGLE(gru_of, even(x) && even(s) && even(h) && even(out), x, s, h, out, rows,
                      width))
KERNEL(gru_backward,
       (const T* g, const T* x, const T* s, const T* h, T* dx, T* ds, T* dh, i64 rows, i64 width),
       WIDE_OR_SINGLE(gru_backward_of,
                      even(g) && even(x) && even(s) && even(h) && even(dx) && even(ds) && even(dh),
                      g, x, s, h, dx, ds, dh, rows, width))
