// Convolutions and their gradients as products of matrices of which one is never made ("implicit
// GEMM", Chetlur et al., "cuDNN: efficient primitives for deep learning", 2014). For each group
//
//   forward   y (O, N P)   = w (O, K C) x' (K C, N P)
//   input     dx (C, N S)  = w' (C, K O) g' (K O, N S)
//   weight    dw (O, K C)  = g (O, N P) x'' (N P, K C)
//
// with N images, P positions of the result, S of the input, K taps of the window, and O, C channels
// of the group. Images are (depth, height, width), with ones in front where there are fewer
// dimensions. `lay` first brings both operands into an order in which the channels of a group lie
// beside each other, filled up with zeros to chunks of 16 bytes:
//
//   images  (N, positions, groups, chunks)       windows  (rows of all groups, taps, chunks)
//
// so that all loads are of whole chunks, and whether one is there, and where, changes with the tap
// only. A block makes a tile, by steps of 64 bytes in the depth that are fetched some steps ahead.
// All numbers are below 2^31 - 2^12.

#undef THREADS
#define THREADS 256, 2

const int STEP = 64;

// A tile, how many warps are below and beside each other, how many steps are in shared memory.
struct Large {
    static const int rows = 128, columns = 128, down = 2, across = 4, threads = 256, stages = 3;
};
struct Low {  // for few rows
    static const int rows = 64, columns = 128, down = 2, across = 4, threads = 256, stages = 4;
};
struct Small {
    static const int rows = 64, columns = 64, down = 2, across = 2, threads = 128, stages = 6;
};

__device__ inline void bring(void* to, const void* from, bool there) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
    struct alignas(16) Words { u32 of[4]; } words = {{0, 0, 0, 0}};
    if (there) words = *(const Words*)from;
    *(Words*)to = words;
#else
    fetch_ahead<16>(to, from, there);
#endif
}

// -- where chunks lie in a step: eight that are read at once are in different banks -------------

// In lines of 64 bytes, along the depth: offset of a chunk in bytes.
__device__ inline int along(int line, int chunk) {
    return line * STEP + ((chunk ^ (line >> 1)) & 3) * 16;
}

// In lines across the depth, of SIDE numbers each.
template <class T, int SIDE> __device__ inline int across(int line, int chunk) {
    int turn = sizeof(T) == 2 ? line & 7 : (line & 3) << 1;
    return (line * (SIDE * (int)sizeof(T) / 16) + (chunk ^ turn)) * 16;
}

// -- who multiplies a step: left (rows, depth), right (columns, depth) or both with the depth first

// Tensor cores. A warp makes a part of the tile in pieces of 16 by 8.
template <class T, class S> struct ByCores {
    typedef S Shape;
    typedef typename Cores<T>::type Kind;
    static const int high = S::rows / S::down / 16, broad = S::columns / S::across / 8;
    static const int size = (int)sizeof(T);
    float sums[high][broad][4];
    int row, column, lane;

    __device__ ByCores() {
        int warp = threadIdx.x / 32;
        lane = threadIdx.x % 32;
        row = warp / S::across * (S::rows / S::down);
        column = warp % S::across * (S::columns / S::across);
        for (int i = 0; i < high; i++)
            for (int j = 0; j < broad; j++)
                for (int k = 0; k < 4; k++) sums[i][j][k] = 0;
    }
    __device__ void multiply_all(const u32 (&a)[high][4], const u32 (&b)[broad / 2][4]) {
#pragma unroll
        for (int i = 0; i < high; i++)
#pragma unroll
            for (int j = 0; j < broad; j++) {
                const u32 part[2] = {b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1]};
                multiply(sums[i][j], a[i], part, Kind());
            }
    }
    __device__ void step_along(const char* left, const char* right) {
#pragma unroll
        for (int half = 0; half < 2; half++) {
            u32 a[high][4], b[broad / 2][4];
            for (int i = 0; i < high; i++)
                load_tiles(a[i], left + along(row + 16 * i + lane % 16, 2 * half + lane / 16));
            for (int j = 0; j < broad / 2; j++)
                load_tiles(b[j], right + along(column + 16 * j + lane / 16 * 8 + lane % 8,
                                               2 * half + lane / 8 % 2));
            multiply_all(a, b);
        }
    }
    __device__ void step_across(const char* left, const char* right) {
#pragma unroll(size == 2 ? 2 : 1)
        for (int half = 0; half < 2; half++) {
            u32 a[high][4], b[broad / 2][4];
            if constexpr (size == 2) {
                for (int i = 0; i < high; i++)
                    load_turned_tiles(a[i], left + across<T, S::rows>(
                        16 * half + lane / 16 * 8 + lane % 8, row / 8 + 2 * i + lane / 8 % 2));
                for (int j = 0; j < broad / 2; j++)
                    load_turned_tiles(b[j], right + across<T, S::columns>(
                        16 * half + lane % 16, column / 8 + 2 * j + lane / 16));
            } else {
                int g = lane / 4, t = 8 * half + lane % 4;
                for (int i = 0; i < high; i++)
                    for (int k = 0; k < 4; k++)
                        a[i][k] = number<S::rows>(left, t + k / 2 * 4,
                                                  row + 16 * i + k % 2 * 8 + g);
                for (int j = 0; j < broad / 2; j++)
                    for (int k = 0; k < 4; k++)
                        b[j][k] = number<S::columns>(right, t + k % 2 * 4,
                                                     column + 16 * j + k / 2 * 8 + g);
            }
            multiply_all(a, b);
        }
    }
    template <int SIDE> __device__ u32 number(const char* part, int line, int i) const {
        return *(const u32*)(part + across<T, SIDE>(line, i / 4) + i % 4 * 4);
    }
    // f.put(row, column, both): two neighbours in a row of the tile
    template <class F> __device__ void each(const F& f) const {
#pragma unroll
        for (int i = 0; i < high; i++)
#pragma unroll
            for (int j = 0; j < broad; j++)
#pragma unroll
                for (int k = 0; k < 2; k++) {
                    const float both[2] = {sums[i][j][2 * k], sums[i][j][2 * k + 1]};
                    f.put(row + 16 * i + 8 * k + lane / 4, column + 8 * j + lane % 4 * 2, both);
                }
    }
};

// Without them: each thread some pairs of neighbours in some rows.
template <class T, class S> struct ByThreads {
    typedef S Shape;
    typedef typename Wide<T>::type A;
    static const int broad = 16, down = S::threads / broad;  // threads beside each other, below
    static const int high = S::rows / down, wide_ = S::columns / broad, count = Pack<T>::count;
    A sums[high][wide_];
    int x, y;

    __device__ ByThreads() {
        x = threadIdx.x % broad, y = threadIdx.x / broad;
        for (int i = 0; i < high; i++)
            for (int j = 0; j < wide_; j++) sums[i][j] = 0;
    }
    __device__ int column(int j) const { return j / 2 * 2 * broad + 2 * x + j % 2; }
    __device__ void step_along(const char* left, const char* right) {
#pragma unroll 1
        for (int chunk = 0; chunk < 4; chunk++) {
            Pack<T> b[wide_];
            for (int j = 0; j < wide_; j++)
                b[j] = *(const Pack<T>*)(right + along(column(j), chunk));
#pragma unroll
            for (int i = 0; i < high; i++) {
                Pack<T> a = *(const Pack<T>*)(left + along(y + down * i, chunk));
#pragma unroll
                for (int k = 0; k < count; k++)
                    for (int j = 0; j < wide_; j++) sums[i][j] += wide(a.at[k]) * wide(b[j].at[k]);
            }
        }
    }
    __device__ void step_across(const char* left, const char* right) {
#pragma unroll 2
        for (int line = 0; line < STEP / (int)sizeof(T); line++) {
            A a[high], b[wide_];
            for (int i = 0; i < high; i++) a[i] = number<S::rows>(left, line, y + down * i);
            for (int j = 0; j < wide_; j++) b[j] = number<S::columns>(right, line, column(j));
            for (int i = 0; i < high; i++)
                for (int j = 0; j < wide_; j++) sums[i][j] += a[i] * b[j];
        }
    }
    template <int SIDE> __device__ A number(const char* part, int line, int i) const {
        return wide(((const T*)(part + across<T, SIDE>(line, i / count)))[i % count]);
    }
    template <class F> __device__ void each(const F& f) const {
#pragma unroll
        for (int i = 0; i < high; i++)
#pragma unroll
            for (int j = 0; j < wide_; j += 2) {
                const A both[2] = {sums[i][j], sums[i][j + 1]};
                f.put(y + down * i, column(j), both);
            }
    }
};

// All steps of a product: each is fetched while those before it are multiplied.
template <class P, class M> __device__ inline void multiply_steps(P& p, M& by, char* room) {
    typedef typename M::Shape S;
    const int half = S::rows * STEP, stage = (S::rows + S::columns) * STEP, stages = S::stages;
#pragma unroll
    for (int s = 0; s < stages - 1; s++) {
        if (s < p.steps) p.fetch(room + s * stage, room + s * stage + half);
        end_group();
    }
    int here = 0, ahead = stages - 1;
    for (int s = 0; s < p.steps; s++) {
        wait_for_groups<stages - 2>();
        __syncthreads();  // all see this step, and have done with the one before
        char* next = room + ahead * stage;
        if (s + stages - 1 < p.steps) p.fetch(next, next + half);
        end_group();
        p.step(by, room + here * stage, room + here * stage + half);
        here = here + 1 < stages ? here + 1 : 0;
        ahead = ahead + 1 < stages ? ahead + 1 : 0;
    }
    wait_for_groups<0>();
    __syncthreads();
}

template <class T, class A> __device__ inline void store(T* to, const A (&both)[2]) {
    struct alignas(2 * sizeof(T)) Two { T of[2]; } two;
    narrow(both[0], two.of[0]);
    narrow(both[1], two.of[1]);
    *(Two*)to = two;
}

// -- forward, and the gradient of the input -----------------------------------------------------

struct Sizes {
    int batch, groups, rows, chunks;  // rows of a group's product, chunks of its channels
    int target[3], source[3], kernel[3], stride[3], padding[3], dilation[3];
};

// One dimension of what a block makes: at targets origin + pitch q, q < count, the taps
// first + every i, i < taps, meet the source at scale q + start + move i.
struct Span { int origin, pitch, count, first, every, taps, scale, start, move; };

__device__ inline Span span_forward(const Sizes& z, int d) {
    return {0, 1, z.target[d], 0, 1, z.kernel[d], z.stride[d], -z.padding[d], z.dilation[d]};
}

// Of the pixels that are `from` more than a multiple of the stride: all have the same taps.
__device__ inline Span span_turned(const Sizes& z, int d, int from) {
    int stride = z.stride[d], dilation = z.dilation[d], a = stride, b = dilation;
    while (b) {
        int rest = a % b;
        a = b, b = rest;
    }
    int every = stride / a, first = 0;
    while (first < every && (from + z.padding[d] - first * dilation) % stride) first++;
    bool some = first < every && first < z.kernel[d];
    return {from, stride, (z.target[d] - from + stride - 1) / stride, first, every,
            some ? (z.kernel[d] - first + every - 1) / every : 0, 1,
            some ? (from + z.padding[d] - first * dilation) / stride : 0,
            -(every * dilation / stride)};
}

template <class T, class S, bool TURNED> struct Gathered {
    typedef typename Wide<T>::type A;
    static const int pack = Pack<T>::count, below = S::threads / 4;
    static const int lefts = S::rows / below, rights = S::columns / below;
    Sizes z;
    Span span[3];
    int group, row, column, steps;
    // What the thread fetches: of some rows and some columns one of the four chunks of a step.
    const T *left[lefts], *image[rights];
    bool row_there[lefts], there[rights];
    int at[rights][3], offset[rights], chunk, tap[3];

    __device__ int targets() const { return span[0].count * span[1].count * span[2].count; }
    __device__ bool more() const { return tap[0] < span[0].taps; }

    // False: the block has nothing to do.
    __device__ bool begin(const T* w, const T* x) {
        u32 number = blockIdx.x, down = (u32)(z.rows + S::rows - 1) / S::rows;
        row = (int)(number % down) * S::rows;
        number /= down;
        int per[3], from[3] = {0, 0, 0};
        for (int d = 0; d < 3; d++)
            per[d] = TURNED ? (z.target[d] + z.stride[d] - 1) / z.stride[d] : z.target[d];
        u32 broad = ((u32)(z.batch * per[0] * per[1] * per[2]) + S::columns - 1) / S::columns;
        column = (int)(number % broad) * S::columns;
        number /= broad;
        if (TURNED)
            for (int d = 2; d >= 0; d--) {
                u32 classes = z.stride[d] < z.target[d] ? z.stride[d] : z.target[d];
                from[d] = (int)(number % classes);
                number /= classes;
            }
        group = (int)number;
        for (int d = 0; d < 3; d++)
            span[d] = TURNED ? span_turned(z, d, from[d]) : span_forward(z, d);
        if (column >= z.batch * targets()) return false;
        int taps = z.kernel[0] * z.kernel[1] * z.kernel[2], mine = threadIdx.x / 4;
        i64 pixels = (i64)z.source[0] * z.source[1] * z.source[2];
        for (int i = 0; i < lefts; i++) {
            int r = row + mine + i * below;
            row_there[i] = r < z.rows;
            left[i] = w + ((i64)group * z.rows + r) * taps * z.chunks * pack;
        }
        for (int i = 0; i < rights; i++) {
            int q[3];
            i64 number = place(column + mine + i * below, q);
            there[i] = number >= 0;
            image[i] = x + (number * pixels * z.groups + group) * z.chunks * pack;
            for (int d = 0; d < 3; d++) at[i][d] = q[d] * span[d].scale + span[d].start;
        }
        int all = span[0].taps * span[1].taps * span[2].taps;
        steps = (all * z.chunks + 3) / 4;
        chunk = threadIdx.x % 4;
        for (int d = 0; d < 3; d++) tap[d] = all ? 0 : span[d].taps;
        if (!all) tap[0] = span[0].taps;
        go_on();
        return true;
    }
    // The image of a column, and where in it; -1 beyond the last.
    __device__ i64 place(int column, int (&q)[3]) const {
        int each = targets();
        u32 flat = (u32)column % (u32)each;
        q[2] = (int)(flat % (u32)span[2].count);
        flat /= (u32)span[2].count;
        q[1] = (int)(flat % (u32)span[1].count);
        q[0] = (int)(flat / (u32)span[1].count);
        return column < z.batch * each ? (i64)((u32)column / (u32)each) : -1;
    }
    // To the tap of the chunk.
    __device__ void go_on() {
        while (chunk >= z.chunks && more()) {
            chunk -= z.chunks;
            if (++tap[2] < span[2].taps) continue;
            tap[2] = 0;
            if (++tap[1] < span[1].taps) continue;
            tap[1] = 0;
            tap[0]++;
        }
        for (int i = 0; i < rights; i++) {
            int s[3];
            bool inside = true;
            for (int d = 0; d < 3; d++) {
                s[d] = at[i][d] + tap[d] * span[d].move;
                inside = inside && (u32)s[d] < (u32)z.source[d];
            }
            int pixel = (s[0] * z.source[1] + s[1]) * z.source[2] + s[2];
            offset[i] = inside ? pixel * z.groups * z.chunks : -1;
        }
    }
    __device__ void fetch(char* to_left, char* to_right) {
        int mine = threadIdx.x / 4, c = threadIdx.x % 4;
        int t = ((span[0].first + tap[0] * span[0].every) * z.kernel[1] + span[1].first +
                 tap[1] * span[1].every) * z.kernel[2] + span[2].first + tap[2] * span[2].every;
        bool now = more();
#pragma unroll
        for (int i = 0; i < lefts; i++)
            bring(to_left + along(mine + i * below, c),
                  left[i] + (i64)(t * z.chunks + chunk) * pack, now && row_there[i]);
#pragma unroll
        for (int i = 0; i < rights; i++) {
            bool inside = now && there[i] && offset[i] >= 0;
            bring(to_right + along(mine + i * below, c),
                  image[i] + (i64)(inside ? offset[i] + chunk : 0) * pack, inside);
        }
        chunk += 4;
        if (chunk >= z.chunks) go_on();
    }
    template <class M> __device__ void step(M& by, const char* left, const char* right) const {
        by.step_along(left, right);
    }
};

template <class T> struct Placed {  // where a tile's numbers go
    typedef typename Wide<T>::type A;
    T* y;
    const T* b;
    const i64* places;  // of the columns; -1 for none
    i64 channel;        // from one row to the next
    int rows;
    __device__ void put(int row, int column, const A (&both)[2]) const {
        if (row >= rows) return;
        A add = b ? wide(b[row]) : A(0);
        const A now[2] = {both[0] + add, both[1] + add};
        i64 first = places[column], second = places[column + 1];
        T* to = y + row * channel + first;
        if (first >= 0 && second == first + 1 && (u64)to % (2 * sizeof(T)) == 0) {
            store(to, now);
        } else {
            if (first >= 0) narrow(now[0], *to);
            if (second >= 0) narrow(now[1], y[row * channel + second]);
        }
    }
};

template <class T, class M, bool TURNED>
__device__ inline void gather(const T* x, const T* w, const T* b, T* y, const Sizes& z, i64 image,
                              i64 channel, i64 pixel) {
    typedef typename M::Shape S;
    alignas(16) __shared__ char room[S::stages * (S::rows + S::columns) * STEP];
    Gathered<T, S, TURNED> p;
    p.z = z;
    if (!p.begin(w, x)) return;
    M by;
    multiply_steps(p, by, room);
    i64* places = (i64*)room;
    if (threadIdx.x < S::columns) {
        int q[3];
        i64 number = p.place(p.column + threadIdx.x, q), flat = 0;
        for (int d = 0; d < 3; d++)
            flat = flat * z.target[d] + p.span[d].origin + q[d] * p.span[d].pitch;
        places[threadIdx.x] = number < 0 ? -1 : number * image + flat * pixel;
    }
    __syncthreads();
    i64 first = (i64)p.group * z.rows + p.row;
    Placed<T> to = {y + first * channel, b ? b + first : b, places, channel, z.rows - p.row};
    by.each(to);
}

// -- the gradient of the windows ----------------------------------------------------------------

struct Summing {
    int batch, groups, outs, ins;  // chunks of a group's channels: of what arrives, of the images
    int rows;                      // channels of a group of what arrives
    int size[3], out[3], kernel[3], stride[3], padding[3], dilation[3];
};

template <class T, class S> struct Summed {
    typedef typename Wide<T>::type A;
    static const int pack = Pack<T>::count, deep = STEP / (int)sizeof(T);
    static const int chunks = S::rows / pack, below = S::threads / chunks;
    static_assert(S::rows == S::columns && 2 * below == deep, "a thread fetches two lines");
    Summing z;
    int group, part, row, column, steps;
    // What the thread fetches: of two lines of a step one chunk of either side.
    const T *left, *right;
    bool row_there, column_there;
    int off[3];                          // where its tap begins
    int k, depth, image, at[3];          // its next line
    int images, by[3];                   // how far it is to the one after it

    __device__ void begin(const T* g, const T* x, int parts) {
        int taps = z.kernel[0] * z.kernel[1] * z.kernel[2], mine = threadIdx.x % chunks;
        u32 number = blockIdx.x;
        u32 down = (u32)(z.rows + S::rows - 1) / S::rows;
        u32 broad = (u32)(taps * z.ins * pack + S::columns - 1) / S::columns;
        row = (int)(number % down) * S::rows;
        number /= down;
        column = (int)(number % broad) * S::columns;
        number /= broad;
        group = (int)(number % (u32)z.groups);
        part = (int)(number / (u32)z.groups);
        int r = row / pack + mine, c = column / pack + mine;
        row_there = r < z.outs;
        left = g + ((i64)group * z.outs + r) * pack;
        column_there = c < taps * z.ins;
        int tap = c / z.ins;
        right = x + ((i64)group * z.ins + c % z.ins) * pack;
        for (int d = 2; d >= 0; d--) {
            off[d] = tap % z.kernel[d] * z.dilation[d] - z.padding[d];
            tap /= z.kernel[d];
        }
        depth = z.batch * z.out[0] * z.out[1] * z.out[2];
        int all = (depth + deep - 1) / deep, each = (all + parts - 1) / parts;
        steps = all - part * each < each ? all - part * each : each;
        k = part * each * deep + threadIdx.x / chunks;
        image = split(k, at);
        images = split(below, by);
    }
    __device__ int split(int flat, int (&to)[3]) const {
        u32 rest = (u32)flat;
        for (int d = 2; d >= 0; d--) {
            to[d] = (int)(rest % (u32)z.out[d]);
            rest /= (u32)z.out[d];
        }
        return (int)rest;
    }
    __device__ void fetch(char* to_left, char* to_right) {
        int mine = threadIdx.x % chunks, first = threadIdx.x / chunks;
        int pixels = z.size[0] * z.size[1] * z.size[2];
#pragma unroll
        for (int i = 0; i < 2; i++) {
            bool inside = k < depth;
            bring(to_left + across<T, S::rows>(first + i * below, mine),
                  left + (i64)k * z.groups * z.outs * pack, inside && row_there);
            int s[3];
            for (int d = 0; d < 3; d++) {
                s[d] = at[d] * z.stride[d] + off[d];
                inside = inside && (u32)s[d] < (u32)z.size[d];
            }
            i64 pixel = (i64)image * pixels + (s[0] * z.size[1] + s[1]) * z.size[2] + s[2];
            bring(to_right + across<T, S::columns>(first + i * below, mine),
                  right + pixel * z.groups * z.ins * pack, inside && column_there);
            k += below, image += images;
            for (int d = 2; d >= 0; d--) {
                at[d] += by[d];
                if (at[d] < z.out[d]) continue;
                at[d] -= z.out[d];
                if (d) at[d - 1]++;
                else image++;
            }
        }
    }
    template <class M> __device__ void step(M& by, const char* left, const char* right) const {
        by.step_across(left, right);
    }
};

template <class A> struct Part {
    A* to;
    int rows, columns, all;  // how many are left, and how long a row is
    __device__ void put(int row, int column, const A (&both)[2]) const {
        // a row is whole chunks: both are there or neither
        if (row < rows && column < columns) store(to + (i64)row * all + column, both);
    }
};

template <class T, class M>
__device__ inline void sum_up(const T* x, const T* g, typename Wide<T>::type* parts, int count,
                              const Summing& z) {
    typedef typename M::Shape S;
    typedef typename Wide<T>::type A;
    alignas(16) __shared__ char room[S::stages * (S::rows + S::columns) * STEP];
    Summed<T, S> p;
    p.z = z;
    p.begin(g, x, count);
    M by;
    multiply_steps(p, by, room);
    int all = z.kernel[0] * z.kernel[1] * z.kernel[2] * z.ins * Pack<T>::count;
    i64 line = ((i64)p.part * z.groups + p.group) * z.rows + p.row;
    Part<A> to = {parts + line * all + p.column, z.rows - p.row, all - p.column, all};
    by.each(to);
}

// dw (rows, channels, taps) of parts (count, rows, taps, channels filled up).
template <class T, class A>
__device__ inline void sum_parts(const A* parts, T* dw, i64 count, u32 rows, u32 channels, u32 taps,
                                 u32 filled) {
    u32 all = rows * channels * taps;
    for (u32 i = (u32)thread_number(); i < all; i += (u32)thread_count()) {
        u32 channel = i % channels, rest = i / channels, tap = rest % taps, row = rest / taps;
        const A* from = parts + (i64)rest * filled + channel;
        A sum = 0;
        for (i64 k = 0; k < count; k++) sum += from[k * rows * taps * filled];
        narrow(sum, dw[((i64)row * channels + channel) * taps + tap]);
    }
}

// -- operands in the order that the products read -----------------------------------------------

// to (n, positions, groups, chunks) of an array with these steps; channels that are not are zeros.
template <class T> struct Layout {
    const T* from;
    T* to;
    u32 positions, groups, channels, chunks, total;
    i64 image, group, position, channel;
    __device__ void lay(u32 i, bool rounded) const {
        const int count = Pack<T>::count;
        u32 s, g, chunk;  // neighbours lie beside each other in `from`
        if (position == 1) {
            s = i % positions, i /= positions;
            chunk = i % chunks, i /= chunks;
            g = i % groups, i /= groups;
        } else {
            chunk = i % chunks, i /= chunks;
            g = i % groups, i /= groups;
            s = i % positions, i /= positions;
        }
        const T* first = from + i * image + g * group + s * position;
        Pack<T> made;
#pragma unroll
        for (int j = 0; j < count; j++) {
            u32 c = chunk * count + j;
            made.at[j] = T();
            if (c < channels) made.at[j] = first[c * channel];
            if (rounded) round(made.at[j]);
        }
        ((Pack<T>*)to)[(((i64)i * positions + s) * groups + g) * chunks + chunk] = made;
    }
    template <class U> __device__ static void round(U&) {}
    __device__ static void round(float& x) {
        tf32 y;
        narrow(x, y);
        x = wide(y);
    }
};

template <class T>
__device__ inline void lay(const Layout<T>& first, const Layout<T>& second, bool rounded) {
    u32 all = first.total + second.total;
    for (u32 i = (u32)thread_number(); i < all; i += (u32)thread_count()) {
        if (i < first.total) first.lay(i, rounded);
        else second.lay(i - first.total, rounded);
    }
}

// -- entries ------------------------------------------------------------------------------------

#define THREE(name) i64 name##0, i64 name##1, i64 name##2
#define GIVEN(name) {(int)name##0, (int)name##1, (int)name##2}
#define WINDOW THREE(kernel), THREE(stride), THREE(padding), THREE(dilation)
#define GATHERING \
    (const T* x, const T* w, const T* b, T* y, i64 batch, i64 groups, i64 rows, i64 chunks, \
     THREE(target), THREE(source), WINDOW, THREE(step))
#define GATHER(BY, SHAPE, TURNED) \
    gather<T, BY<T, SHAPE>, TURNED>( \
        x, w, b, y, \
        Sizes {(int)batch, (int)groups, (int)rows, (int)chunks, GIVEN(target), GIVEN(source), \
               GIVEN(kernel), GIVEN(stride), GIVEN(padding), GIVEN(dilation)}, \
        step0, step1, step2)
#define SUMMING \
    (const T* x, const T* g, A* parts, i64 count, i64 batch, i64 groups, i64 outs, i64 ins, \
     i64 rows, THREE(size), THREE(out), WINDOW)
#define SUM_UP(BY, SHAPE) \
    sum_up<T, BY<T, SHAPE>>( \
        x, g, parts, (int)count, \
        Summing {(int)batch, (int)groups, (int)outs, (int)ins, (int)rows, GIVEN(size), GIVEN(out), \
                 GIVEN(kernel), GIVEN(stride), GIVEN(padding), GIVEN(dilation)})
#define HALVES_AND_F32(name, parameters, ...) \
    KERNEL_F16(name, parameters, __VA_ARGS__) \
    KERNEL_BF16(name, parameters, __VA_ARGS__) \
    KERNEL_F32(name, parameters, __VA_ARGS__)
#define LAID(n) \
    const T* from##n, T* to##n, i64 total##n, i64 positions##n, i64 groups##n, i64 channels##n, \
        i64 chunks##n, i64 image##n, i64 group##n, i64 position##n, i64 channel##n
#define LAYOUT(n) \
    Layout<T> {from##n, to##n, (u32)positions##n, (u32)groups##n, (u32)channels##n, \
               (u32)chunks##n, (u32)total##n, image##n, group##n, position##n, channel##n}

HALVES_AND_F32(conv_cores_large, GATHERING, GATHER(ByCores, Large, false))
HALVES_AND_F32(conv_cores_low, GATHERING, GATHER(ByCores, Low, false))
HALVES_AND_F32(conv_cores_small, GATHERING, GATHER(ByCores, Small, false))
HALVES_AND_F32(conv_input_cores_large, GATHERING, GATHER(ByCores, Large, true))
HALVES_AND_F32(conv_input_cores_low, GATHERING, GATHER(ByCores, Low, true))
HALVES_AND_F32(conv_input_cores_small, GATHERING, GATHER(ByCores, Small, true))
HALVES_AND_F32(conv_weight_cores_large, SUMMING, SUM_UP(ByCores, Large))
HALVES_AND_F32(conv_weight_cores_small, SUMMING, SUM_UP(ByCores, Small))
KERNEL(conv_plain_small, GATHERING, GATHER(ByThreads, Small, false))
KERNEL(conv_input_plain_small, GATHERING, GATHER(ByThreads, Small, true))
KERNEL(conv_weight_plain_small, SUMMING, SUM_UP(ByThreads, Small))
KERNEL(conv_weight_parts,
       (T* dw, const A* parts, i64 count, i64 rows, i64 channels, i64 taps, i64 filled),
       sum_parts<T, A>(parts, dw, count, (u32)rows, (u32)channels, (u32)taps, (u32)filled))
KERNEL(conv_lay, (LAID(1), LAID(2), i64 rounded), lay<T>(LAYOUT(1), LAYOUT(2), rounded != 0))
