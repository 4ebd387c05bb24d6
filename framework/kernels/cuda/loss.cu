// The negative log likelihood of classes, and its gradient. Seen as (outer, classes, inner), with
// a target for each (outer, inner). What is ignored has the weight zero.

template <class A, class T>
__device__ inline A weight_of(i64 target, const T* weight, i64 ignored) {
    if (target == ignored) return A(0);
    return weight ? A(wide(weight[target])) : A(1);
}

// How many targets are neither ignored nor a class.
__device__ inline void count_bad(i64 target, i64 classes, i64 ignored, i64* bad) {
    if (target != ignored && (target < 0 || target >= classes)) atomicAdd((u64*)bad, (u64)1);
}
template <class T>
__device__ void bad_targets_of(const i64* target, i64* bad, i64 n, i64 classes, i64 ignored) {
    for (i64 i = thread_number(); i < n; i += thread_count())
        count_bad(target[i], classes, ignored, bad);
}

template <class T>
__device__ typename Wide<T>::type loss_at(const T* x, const i64* target, const T* weight, i64 i,
                                          i64 classes, i64 inner, i64 ignored,
                                          typename Wide<T>::type& w) {
    typedef typename Wide<T>::type A;
    w = weight_of<A>(target[i], weight, ignored);
    if (w == A(0)) return A(0);  // an ignored infinity counts nothing
    return -wide(x[(i / inner * classes + target[i]) * inner + i % inner]) * w;
}

template <class T>
__device__ void losses_of(const T* x, const i64* target, const T* weight, T* out, i64 n,
                          i64 classes, i64 inner, i64 ignored) {
    typename Wide<T>::type w;
    for (i64 i = thread_number(); i < n; i += thread_count())
        narrow(loss_at(x, target, weight, i, classes, inner, ignored, w), out[i]);
}

// Sums of losses (none without x) and of weights, a pair for each block.
template <class T>
__device__ void loss_sums_of(const T* x, const i64* target, const T* weight,
                             typename Wide<T>::type* sums, i64 n, i64 classes, i64 inner,
                             i64 ignored) {
    typedef typename Wide<T>::type A;
    A loss = A(0), total = A(0), w;
    for (i64 i = thread_number(); i < n; i += thread_count()) {
        if (x)
            loss += loss_at(x, target, weight, i, classes, inner, ignored, w);
        else
            w = weight_of<A>(target[i], weight, ignored);
        total += w;
    }
    loss = of_block(loss, Add(), A(0));
    total = of_block(total, Add(), A(0));
    if (threadIdx.x) return;
    sums[2 * blockIdx.x] = loss;
    sums[2 * blockIdx.x + 1] = total;
}

// One block: the sum of the blocks' losses, over that of the weights if `mean`.
template <class T>
__device__ void loss_of(T* out, const typename Wide<T>::type* sums, typename Wide<T>::type* total,
                        i64 blocks, i64 mean) {
    typedef typename Wide<T>::type A;
    A loss = A(0), weights = A(0);
    for (i64 k = threadIdx.x; k < blocks; k += blockDim.x) {
        loss += sums[2 * k];
        weights += sums[2 * k + 1];
    }
    loss = of_block(loss, Add(), A(0));
    weights = of_block(weights, Add(), A(0));
    if (threadIdx.x) return;
    narrow(mean ? loss / weights : loss, *out);
    *total = weights;
}

// -w g (over the sum of the weights, if there is one) at the targets, zero elsewhere.
template <class T>
__device__ void loss_backward_of(const T* g, const i64* target, const T* weight,
                                 const typename Wide<T>::type* total, T* out, i64 size,
                                 i64 classes, i64 inner, i64 ignored, i64 single) {
    typedef typename Wide<T>::type A;
    const int count = Pack<T>::count;
    i64 span = classes * inner, packs = even(out) ? size / count : 0;
    auto value = [&](i64 at, i64 which) {
        if (target[at] != which) return A(0);
        A w = weight_of<A>(target[at], weight, ignored);
        return w == A(0) ? A(0) : -(total ? w / *total : w) * wide(g[single ? 0 : at]);
    };
    for (i64 q = thread_number(); q < packs; q += thread_count()) {
        i64 row = q * count / span, rest = q * count - row * span;
        i64 which = rest / inner, column = rest - which * inner;
        Pack<T> made_;
#pragma unroll
        for (int j = 0; j < count; j++) {  // one division for all of them
            narrow(value(row * inner + column, which), made_.at[j]);
            if (++column < inner) continue;
            column = 0;
            if (++which < classes) continue;
            which = 0;
            row++;
        }
        ((Pack<T>*)out)[q] = made_;
    }
    for (i64 i = packs * count + thread_number(); i < size; i += thread_count()) {
        i64 row = i / span, rest = i - row * span;
        narrow(value(row * inner + rest % inner, rest / inner), out[i]);
    }
}

KERNEL(bad_targets,
       (const T* like, const i64* target, i64* bad, i64 n, i64 classes, i64 ignored),
       bad_targets_of<T>(target, bad, n, classes, ignored))
KERNEL(losses,
       (const T* x, const i64* target, const T* weight, T* out, i64 n, i64 classes, i64 inner,
        i64 ignored),
       losses_of(x, target, weight, out, n, classes, inner, ignored))
KERNEL(loss_sums,
       (const T* like, const T* x, const i64* target, const T* weight, A* sums, i64 n,
        i64 classes, i64 inner, i64 ignored),
       loss_sums_of(x, target, weight, sums, n, classes, inner, ignored))
KERNEL(loss, (T* out, const A* sums, A* total, i64 blocks, i64 mean),
       loss_of<T>(out, sums, total, blocks, mean))
KERNEL(loss_backward,
       (const T* g, const i64* target, const T* weight, const A* total, T* out, i64 size,
        i64 classes, i64 inner, i64 ignored, i64 single),
       loss_backward_of(g, target, weight, total, out, size, classes, inner, ignored, single))
