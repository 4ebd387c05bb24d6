// Convolutions of groups with few rows (depthwise), for which a tile of `conv_tiles` would be
// mostly empty, and their gradients. Images are (depth, height, width), with ones in front where
// there are fewer dimensions. All numbers are below 2^31 - 2^12.
//
// Neighbouring threads have neighbouring positions, so that lines of an image are read as they
// lie, and again from the first cache for the next tap; all have the same tap's weight.

struct Conv {
    int batch, groups, outs, ins;  // channels of a group
    int size[3], out[3], kernel[3], stride[3], padding[3], dilation[3];
};

__device__ inline int volume(const int (&sizes)[3]) { return sizes[0] * sizes[1] * sizes[2]; }

__device__ inline int split(int flat, const int (&sizes)[3], int (&to)[3]) {
    u32 rest = (u32)flat;
    for (int d = 2; d >= 0; d--) {
        to[d] = (int)(rest % (u32)sizes[d]);
        rest /= (u32)sizes[d];
    }
    return (int)rest;
}

// Taps in one dimension that a position meets the source with: first, first + every, ...; with the
// first at `at`, with each that follows `move` further.
struct Taps { int first, every, at, move; };

__device__ inline Taps taps_forward(const Conv& c, int d, int position) {
    return {0, 1, position * c.stride[d] - c.padding[d], c.dilation[d]};
}

__device__ inline Taps taps_turned(const Conv& c, int d, int pixel) {
    int stride = c.stride[d], dilation = c.dilation[d], i = pixel + c.padding[d];
    if (stride == 1) return {0, 1, i, -dilation};
    int a = stride, b = dilation;
    while (b) {
        int rest = a % b;
        a = b, b = rest;
    }
    int every = stride / a, first = 0;
    while (first < every && i % stride) first++, i -= dilation;
    return {first < every ? first : c.kernel[d], every, i / stride, -(dilation / a)};
}

// y (N, groups * rows, positions) of a source (N, groups * channels, pixels). A block makes parts
// of one channel of one image, a thread V positions that lie blockDim.x apart.
template <class T, int V, bool TURNED>
__device__ inline void few(const T* x, const T* w, const T* b, T* y, const Conv& c) {
    typedef typename Wide<T>::type A;
    static_assert(V == 1 || !TURNED, "positions differ in their taps");
    const int(&target)[3] = TURNED ? c.size : c.out;
    const int(&source)[3] = TURNED ? c.out : c.size;
    int rows = TURNED ? c.ins : c.outs, channels = TURNED ? c.outs : c.ins;
    int taps = volume(c.kernel), pixels = volume(source), positions = volume(target);
    int each = V * blockDim.x, across = (positions + each - 1) / each;
    i64 all = (i64)c.batch * c.groups * rows * across;
    for (i64 number = blockIdx.x; number < all; number += gridDim.x) {
        i64 line = number / across;  // of the result: image and channel
        int first = (int)(number % across) * each + threadIdx.x;
        int channel = (int)(line % (c.groups * rows)), group = channel / rows;
        const T* from = x + (line / (c.groups * rows) * c.groups + group) * channels * pixels;
        const T* weights = w + (TURNED ? (i64)group * c.outs * c.ins + channel % rows
                                       : (i64)channel * c.ins) * taps;
        Taps t[V][3];
        A sums[V];
        for (int v = 0; v < V; v++) {
            int at[3];
            // Beyond the end there is nothing to be met, in no tap.
            bool there = split(first + v * blockDim.x, target, at) == 0;
            for (int d = 0; d < 3; d++)
                t[v][d] = TURNED ? taps_turned(c, d, at[d]) : taps_forward(c, d, at[d]);
            if (!there) t[v][0].at = -1, t[v][0].move = 0;
            sums[v] = 0;
        }
        const Taps(&f)[3] = t[0];
        for (int k = 0; k < channels; k++) {
            for (int n0 = 0, t0 = f[0].first; t0 < c.kernel[0]; n0++, t0 += f[0].every)
                for (int n1 = 0, t1 = f[1].first; t1 < c.kernel[1]; n1++, t1 += f[1].every) {
                    int row[V];
                    for (int v = 0; v < V; v++) {
                        int i = t[v][0].at + n0 * t[v][0].move, j = t[v][1].at + n1 * t[v][1].move;
                        bool inside = (u32)i < (u32)source[0] && (u32)j < (u32)source[1];
                        row[v] = inside ? (i * source[1] + j) * source[2] : -1;
                    }
                    const T* tap = weights + (t0 * c.kernel[1] + t1) * c.kernel[2];
                    for (int n2 = 0, t2 = f[2].first; t2 < c.kernel[2]; n2++, t2 += f[2].every) {
                        A weight = wide(tap[t2]);
                        for (int v = 0; v < V; v++) {
                            int i = t[v][2].at + n2 * t[v][2].move;
                            if (row[v] >= 0 && (u32)i < (u32)source[2])
                                sums[v] += weight * wide(from[row[v] + i]);
                        }
                    }
                }
            from += pixels;
            weights += (TURNED ? c.ins : 1) * taps;
        }
        for (int v = 0; v < V; v++) {
            int position = first + v * blockDim.x;
            if (position >= positions) break;
            if (b) sums[v] += wide(b[channel]);
            narrow(sums[v], y[line * positions + position]);
        }
    }
}

// parts (count, groups * outs, taps, ins) of the windows' gradient. A block adds up one part of the
// positions of all images, for some taps of one pair of channels.
const int SOME = 9;

template <class T, class A>
__device__ inline void few_weights(const T* x, const T* g, A* parts, int count, const Conv& c) {
    int taps = volume(c.kernel), pixels = volume(c.size), positions = volume(c.out);
    int batches = (taps + SOME - 1) / SOME;
    u32 number = blockIdx.x;
    int tap = (int)(number % (u32)batches) * SOME;
    number /= (u32)batches;
    int in = (int)(number % (u32)c.ins);
    number /= (u32)c.ins;
    int out = (int)(number % (u32)(c.groups * c.outs)), part = (int)(number / (c.groups * c.outs));
    int off[SOME][3], at[3], by[3];
    A sums[SOME];
#pragma unroll
    for (int j = 0; j < SOME; j++) {
        split(tap + j, c.kernel, off[j]);
        for (int d = 0; d < 3; d++) off[j][d] = off[j][d] * c.dilation[d] - c.padding[d];
        sums[j] = 0;
    }
    i64 depth = (i64)c.batch * positions, share = (depth + count - 1) / count;
    i64 start = part * share, end = start + share < depth ? start + share : depth;
    int image = split((int)start + threadIdx.x, c.out, at);
    int images = split(blockDim.x, c.out, by), group = out / c.outs;
    for (i64 k = start + threadIdx.x; k < end; k += blockDim.x) {
        int flat = (at[0] * c.out[1] + at[1]) * c.out[2] + at[2];
        A arrived = wide(g[((i64)image * c.groups * c.outs + out) * positions + flat]);
        const T* from = x + (((i64)image * c.groups + group) * c.ins + in) * pixels;
#pragma unroll
        for (int j = 0; j < SOME; j++) {
            int i0 = at[0] * c.stride[0] + off[j][0], i1 = at[1] * c.stride[1] + off[j][1];
            int i2 = at[2] * c.stride[2] + off[j][2];
            if (tap + j < taps && (u32)i0 < (u32)c.size[0] && (u32)i1 < (u32)c.size[1] &&
                (u32)i2 < (u32)c.size[2])
                sums[j] += arrived * wide(from[(i0 * c.size[1] + i1) * c.size[2] + i2]);
        }
        image += images;
#pragma unroll
        for (int d = 2; d >= 0; d--) {
            at[d] += by[d];
            if (at[d] < c.out[d]) continue;
            at[d] -= c.out[d];
            if (d) at[d - 1]++;
            else image++;
        }
    }
    A* to = parts + (((i64)part * c.groups * c.outs + out) * taps + tap) * c.ins + in;
#pragma unroll
    for (int j = 0; j < SOME; j++) {
        A sum = of_block(sums[j], Add(), A(0));
        if (threadIdx.x == 0 && tap + j < taps) to[(i64)j * c.ins] = sum;
    }
}

#define THREE(name) i64 name##0, i64 name##1, i64 name##2
#define GIVEN(name) {(int)name##0, (int)name##1, (int)name##2}
#define SHAPES \
    i64 batch, i64 groups, i64 outs, i64 ins, THREE(size), THREE(out), THREE(kernel), \
        THREE(stride), THREE(padding), THREE(dilation)
#define CONV \
    Conv {(int)batch, (int)groups, (int)outs, (int)ins, GIVEN(size), GIVEN(out), GIVEN(kernel), \
          GIVEN(stride), GIVEN(padding), GIVEN(dilation)}

KERNEL(conv_few, (const T* x, const T* w, const T* b, T* y, SHAPES),
       few<T, 4, false>(x, w, b, y, CONV))
KERNEL(conv_input_few, (const T* g, const T* w, const T* b, T* x, SHAPES),
       few<T, 1, true>(g, w, b, x, CONV))
KERNEL(conv_weight_few, (const T* x, const T* g, A* parts, i64 count, SHAPES),
       few_weights<T, A>(x, g, parts, (int)count, CONV))
