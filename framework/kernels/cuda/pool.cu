// The largest element of each window, and where it was. Planes are seen as (depth, height, width),
// with ones in front where there are fewer dimensions; a thread has a window.

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

#define THREE(name) i64 name##0, i64 name##1, i64 name##2
#define GIVEN(name) {name##0, name##1, name##2}
KERNEL(largest,
       (const T* x, T* best, i64* index, i64 planes, THREE(size), THREE(out), THREE(kernel),
        THREE(stride), THREE(padding), THREE(dilation)),
       Window w = {GIVEN(size), GIVEN(out), GIVEN(kernel), GIVEN(stride), GIVEN(padding),
                   GIVEN(dilation)};
       largest_of(x, best, index, planes, w))
