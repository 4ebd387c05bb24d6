// Convolutions and their gradients as products of matrices of which one is never made ("implicit
// GEMM", Chetlur et al., "cuDNN: efficient primitives for deep learning", 2014). For each group
//
//   forward   y (O, N P)   = w (O, C K) x' (C K, N P)
//   input     dx (C, N S)  = w' (C, O K) g' (O K, N S)
//   weight    dw (O, C K)  = g (O, N P) x'' (N P, C K)
//
// with N images, P positions of the result, S of the input, K of the window, and O, C channels of
// the group. Images are (depth, height, width), with ones in front where there are fewer
// dimensions. A block makes a tile of 64 by 64; where a group has few rows (depthwise), a thread
// (a block, of the weight's gradient) makes one element. All numbers are below 2^31 - 2^12.

struct Conv {
    int batch, groups, outs, ins;  // channels of a group
    int size[3], out[3], kernel[3], stride[3], padding[3], dilation[3];
    __device__ int positions() const { return out[0] * out[1] * out[2]; }
    __device__ int pixels() const { return size[0] * size[1] * size[2]; }
    __device__ int taps() const { return kernel[0] * kernel[1] * kernel[2]; }
};

__device__ inline void split(int flat, const int (&sizes)[3], int (&to)[3]) {
    to[2] = (int)((u32)flat % (u32)sizes[2]);
    u32 rest = (u32)flat / (u32)sizes[2];
    to[1] = (int)(rest % (u32)sizes[1]);
    to[0] = (int)(rest / (u32)sizes[1]);
}

// Where a tap of the window at a position of the result meets the image; -1 for the padding.
__device__ inline int met(const Conv& c, const int (&position)[3], const int (&tap)[3]) {
    int flat = 0;
    for (int d = 0; d < 3; d++) {
        int i = position[d] * c.stride[d] + tap[d] * c.dilation[d] - c.padding[d];
        if (i < 0 || i >= c.size[d]) return -1;
        flat = flat * c.size[d] + i;
    }
    return flat;
}

// Which position of the result meets a pixel with a tap; -1 if none does.
__device__ inline int meets(const Conv& c, const int (&pixel)[3], const int (&tap)[3]) {
    int flat = 0;
    for (int d = 0; d < 3; d++) {
        int i = pixel[d] + c.padding[d] - tap[d] * c.dilation[d];
        if (i < 0 || i % c.stride[d] || i / c.stride[d] >= c.out[d]) return -1;
        flat = flat * c.out[d] + i / c.stride[d];
    }
    return flat;
}

// The two factors and the result of each product: sizes, left(row, k), right(k, column), put.
template <class T> struct Forward {
    typedef typename Wide<T>::type A;
    const T *x, *w, *b;
    T* y;
    Conv c;
    int group;
    __device__ int rows() const { return c.outs; }
    __device__ int columns() const { return c.batch * c.positions(); }
    __device__ int depth() const { return c.ins * c.taps(); }
    __device__ A left(int row, int k) const {
        return wide(w[(i64)(group * c.outs + row) * depth() + k]);
    }
    __device__ A right(int k, int column) const {
        int position[3], tap[3];
        split((int)((u32)column % (u32)c.positions()), c.out, position);
        split((int)((u32)k % (u32)c.taps()), c.kernel, tap);
        int at = met(c, position, tap);
        if (at < 0) return A(0);
        i64 image = (u32)column / (u32)c.positions(), channel = (u32)k / (u32)c.taps();
        return wide(x[(image * c.groups * c.ins + group * c.ins + channel) * c.pixels() + at]);
    }
    __device__ void put(int row, int column, A v, int) const {
        i64 image = (u32)column / (u32)c.positions(), channel = group * c.outs + row;
        if (b) v += wide(b[channel]);
        narrow(v, y[(image * c.groups * c.outs + channel) * c.positions() +
                    (u32)column % (u32)c.positions()]);
    }
};

template <class T> struct ForInput {
    typedef typename Wide<T>::type A;
    const T *g, *w, *b;  // the bias of a transposed convolution, which is this product
    T* x;
    Conv c;
    int group;
    __device__ int rows() const { return c.ins; }
    __device__ int columns() const { return c.batch * c.pixels(); }
    __device__ int depth() const { return c.outs * c.taps(); }
    __device__ A left(int row, int k) const {
        i64 out = group * c.outs + (u32)k / (u32)c.taps();
        return wide(w[(out * c.ins + row) * c.taps() + (u32)k % (u32)c.taps()]);
    }
    __device__ A right(int k, int column) const {
        int pixel[3], tap[3];
        split((int)((u32)column % (u32)c.pixels()), c.size, pixel);
        split((int)((u32)k % (u32)c.taps()), c.kernel, tap);
        int at = meets(c, pixel, tap);
        if (at < 0) return A(0);
        i64 image = (u32)column / (u32)c.pixels(), out = (u32)k / (u32)c.taps();
        return wide(g[(image * c.groups * c.outs + group * c.outs + out) * c.positions() + at]);
    }
    __device__ void put(int row, int column, A v, int) const {
        i64 image = (u32)column / (u32)c.pixels();
        if (b) v += wide(b[group * c.ins + row]);
        narrow(v, x[(image * c.groups * c.ins + group * c.ins + row) * c.pixels() +
                    (u32)column % (u32)c.pixels()]);
    }
};

template <class T> struct ForWeight {
    typedef typename Wide<T>::type A;
    const T *x, *g;
    A* parts;  // (parts, groups * outs, ins * taps)
    Conv c;
    int group;
    __device__ int rows() const { return c.outs; }
    __device__ int columns() const { return c.ins * c.taps(); }
    __device__ int depth() const { return c.batch * c.positions(); }
    __device__ A left(int row, int k) const {
        i64 image = (u32)k / (u32)c.positions();
        return wide(g[(image * c.groups * c.outs + group * c.outs + row) * c.positions() +
                      (u32)k % (u32)c.positions()]);
    }
    __device__ A right(int k, int column) const {
        int position[3], tap[3];
        split((int)((u32)k % (u32)c.positions()), c.out, position);
        split((int)((u32)column % (u32)c.taps()), c.kernel, tap);
        int at = met(c, position, tap);
        if (at < 0) return A(0);
        i64 image = (u32)k / (u32)c.positions(), channel = (u32)column / (u32)c.taps();
        return wide(x[(image * c.groups * c.ins + group * c.ins + channel) * c.pixels() + at]);
    }
    __device__ void put(int row, int column, A v, int part) const {
        i64 line = (i64)part * c.groups * c.outs + group * c.outs + row;
        parts[line * columns() + column] = v;
    }
};

// One element by one thread.
template <class P> __device__ void single_of(P p) {
    typedef typename P::A A;
    i64 each = (i64)p.rows() * p.columns();
    for (i64 i = thread_number(); i < each * p.c.groups; i += thread_count()) {
        p.group = (int)(i / each);
        int row = (int)(i % each / p.columns()), column = (int)(i % each % p.columns());
        A sum = A(0);
        for (int k = 0; k < p.depth(); k++) sum += p.left(row, k) * p.right(k, column);
        p.put(row, column, sum, 0);
    }
}

// One element by one block.
template <class P> __device__ void by_block_of(P p) {
    typedef typename P::A A;
    int each = p.rows() * p.columns();
    p.group = blockIdx.x / each;
    int row = blockIdx.x % each / p.columns(), column = blockIdx.x % each % p.columns();
    A sum = A(0);
    for (int k = threadIdx.x; k < p.depth(); k += blockDim.x)
        sum += p.left(row, k) * p.right(k, column);
    sum = of_block(sum, Add(), A(0));
    if (threadIdx.x == 0) p.put(row, column, sum, 0);
}

#define THREE(name) i64 name##0, i64 name##1, i64 name##2
#define GIVEN(name) {(int)name##0, (int)name##1, (int)name##2}
#define SHAPES \
    i64 batch, i64 groups, i64 outs, i64 ins, THREE(size), THREE(out), THREE(kernel), \
        THREE(stride), THREE(padding), THREE(dilation)
#define CONV \
    Conv {(int)batch, (int)groups, (int)outs, (int)ins, GIVEN(size), GIVEN(out), GIVEN(kernel), \
          GIVEN(stride), GIVEN(padding), GIVEN(dilation)}

#define FORWARD (Forward<T>{x, w, b, y, CONV, 0})
#define FOR_INPUT (ForInput<T>{g, w, b, x, CONV, 0})
#define FOR_WEIGHT (ForWeight<T>{x, g, parts, CONV, 0})
KERNEL(conv_singles, (const T* x, const T* w, const T* b, T* y, SHAPES), single_of(FORWARD))
KERNEL(conv_input_singles, (const T* g, const T* w, const T* b, T* x, SHAPES),
       single_of(FOR_INPUT))
KERNEL(conv_weight_singles, (const T* x, const T* g, A* parts, SHAPES), by_block_of(FOR_WEIGHT))
