// The largest element of each window, and where it was; the mean of each window, and its gradient,
// for which an element looks at the windows that it is in. Planes are seen as (depth, height,
// width), with ones in front where there are fewer dimensions; a thread has a window or an element.

struct Window {
    i64 size[3], out[3], kernel[3], stride[3], padding[3], dilation[3];
};

template <class T>
__device__ void largest_of(const T* x, T* best, i64* index, i64 planes, Window w) {
    typedef typename Wide<T>::type A;
    i64 each = w.out[0] * w.out[1] * w.out[2];
    for (i64 at = thread_number(); at < planes * each; at += thread_count()) {
        i64 rest = at % each;
        i64 place[3] = {rest / (w.out[1] * w.out[2]), rest / w.out[2] % w.out[1], rest % w.out[2]};
        i64 first[3], end[3];
        for (int d = 0; d < 3; d++) {
            first[d] = place[d] * w.stride[d] - w.padding[d];
            end[d] = first[d] + (w.kernel[d] - 1) * w.dilation[d] + 1;
            if (end[d] > w.size[d]) end[d] = w.size[d];
            if (first[d] < 0)  // the first that is not padding
                first[d] += (-first[d] + w.dilation[d] - 1) / w.dilation[d] * w.dilation[d];
        }
        const T* plane = x + at / each * (w.size[0] * w.size[1] * w.size[2]);
        A top = -infinity<A>();
        i64 where = (first[0] * w.size[1] + first[1]) * w.size[2] + first[2];
        for (i64 i = first[0]; i < end[0]; i += w.dilation[0])
            for (i64 j = first[1]; j < end[1]; j += w.dilation[1])
                for (i64 k = first[2]; k < end[2]; k += w.dilation[2]) {
                    i64 here = (i * w.size[1] + j) * w.size[2] + k;
                    A v = wide(plane[here]);
                    if (v > top || v != v) {  // NaN wins
                        top = v;
                        where = here;
                    }
                }
        narrow(top, best[at]);
        index[at] = where;
    }
}

// By what the sum of a window is divided.
struct Divisor {
    i64 with_padding, fixed;
    __device__ i64 of(const Window& w, const i64 (&place)[3]) const {
        if (fixed) return fixed;
        i64 count = 1;
        for (int d = 0; d < 3; d++) {
            i64 start = place[d] * w.stride[d] - w.padding[d], end = start + w.kernel[d];
            i64 most = w.size[d] + (with_padding ? w.padding[d] : 0);
            if (end > w.size[d] + w.padding[d]) end = w.size[d] + w.padding[d];
            if (!with_padding && start < 0) start = 0;
            count *= (end < most ? end : most) - start;
        }
        return count;
    }
};

template <class T>
__device__ void mean_of(const T* x, T* y, i64 planes, Window w, Divisor divisor) {
    typedef typename Wide<T>::type A;
    i64 each = w.out[0] * w.out[1] * w.out[2];
    for (i64 at = thread_number(); at < planes * each; at += thread_count()) {
        i64 rest = at % each;
        i64 place[3] = {rest / (w.out[1] * w.out[2]), rest / w.out[2] % w.out[1], rest % w.out[2]};
        i64 first[3], end[3];
        for (int d = 0; d < 3; d++) {
            first[d] = place[d] * w.stride[d] - w.padding[d];
            end[d] = first[d] + w.kernel[d] < w.size[d] ? first[d] + w.kernel[d] : w.size[d];
            if (first[d] < 0) first[d] = 0;
        }
        const T* plane = x + at / each * (w.size[0] * w.size[1] * w.size[2]);
        A sum = A(0);
        for (i64 i = first[0]; i < end[0]; i++)
            for (i64 j = first[1]; j < end[1]; j++)
                for (i64 k = first[2]; k < end[2]; k++)
                    sum += wide(plane[(i * w.size[1] + j) * w.size[2] + k]);
        narrow(sum / A(divisor.of(w, place)), y[at]);
    }
}

template <class T>
__device__ void mean_backward_of(const T* g, T* x, i64 planes, Window w, Divisor divisor) {
    typedef typename Wide<T>::type A;
    i64 each = w.size[0] * w.size[1] * w.size[2];
    for (i64 at = thread_number(); at < planes * each; at += thread_count()) {
        i64 rest = at % each;
        i64 place[3] = {rest / (w.size[1] * w.size[2]), rest / w.size[2] % w.size[1],
                        rest % w.size[2]};
        i64 first[3], end[3];  // windows that hold it
        for (int d = 0; d < 3; d++) {
            i64 i = place[d] + w.padding[d];
            first[d] = i < w.kernel[d] ? 0 : (i - w.kernel[d]) / w.stride[d] + 1;
            end[d] = i / w.stride[d] + 1 < w.out[d] ? i / w.stride[d] + 1 : w.out[d];
        }
        const T* plane = g + at / each * (w.out[0] * w.out[1] * w.out[2]);
        A sum = A(0);
        for (i64 i = first[0]; i < end[0]; i++)
            for (i64 j = first[1]; j < end[1]; j++)
                for (i64 k = first[2]; k < end[2]; k++) {
                    i64 window[3] = {i, j, k};
                    A v = wide(plane[(i * w.out[1] + j) * w.out[2] + k]);
                    sum += v / A(divisor.of(w, window));
                }
        narrow(sum, x[at]);
    }
}

#define THREE(name) i64 name##0, i64 name##1, i64 name##2
#define GIVEN(name) {name##0, name##1, name##2}
#define SHAPES \
    i64 planes, THREE(size), THREE(out), THREE(kernel), THREE(stride), THREE(padding), \
        THREE(dilation)
#define WINDOW \
    Window w = {GIVEN(size), GIVEN(out), GIVEN(kernel), GIVEN(stride), GIVEN(padding), \
                GIVEN(dilation)}
KERNEL(largest, (const T* x, T* best, i64* index, SHAPES), WINDOW;
       largest_of(x, best, index, planes, w))
KERNEL(mean, (const T* x, T* y, SHAPES, i64 with_padding, i64 fixed), WINDOW;
       mean_of(x, y, planes, w, Divisor{with_padding, fixed}))
KERNEL(mean_backward, (const T* g, T* x, SHAPES, i64 with_padding, i64 fixed), WINDOW;
       mean_backward_of(g, x, planes, w, Divisor{with_padding, fixed}))
