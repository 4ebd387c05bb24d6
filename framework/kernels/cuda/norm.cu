// Standardisation and its gradients: rows (layer, RMS, group norm) and channels (batch norm).
//
// A row is a contiguous line, a warp's or a block's, read once if it fits into registers. A channel
// is B's place in (A, B, C): its A lines are shared out among parts, whose means and sums of
// squares are joined (Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for
// computing sample variances", 1979).

#undef THREADS
#define THREADS 1024

// Mean (0 unless `center`) and 1 / deviation of a row.
template <class T, class G, class A>
__device__ void moments_of_row(const T* x, i64 width, double eps, i64 center, A& mean, A& r) {
    const T* const lines[1] = {x};
    A sum = A(0), square = A(0);
    if (center) {
        visit(lines, width, G::lane(), G::lanes(), [&](i64, const A* v) { sum += v[0]; });
        sum = G::sum(sum) / A(width);
    }
    visit(lines, width, G::lane(), G::lanes(), [&](i64, const A* v) {
        A d = v[0] - sum;
        square += d * d;
    });
    mean = sum;
    r = A(1) / sqrt_(G::sum(square) / A(width) + A(eps));
}

template <class T, class G, int LINES, class A>
__device__ void moments_of_line(const Line<T, G, LINES>& line, double eps, i64 center, A& mean,
                                A& r) {
    A sum = A(0), square = A(0);
    if (center) {
        line.each([&](int k, i64) { sum += line.at[k]; });
        sum = G::sum(sum) / A(line.n);
    }
    line.each([&](int k, i64) {
        A d = line.at[k] - sum;
        square += d * d;
    });
    mean = sum;
    r = A(1) / sqrt_(G::sum(square) / A(line.n) + A(eps));
}

template <class T, class G>
__device__ void norm_of_row(const T* x, const T* w, const T* b, T* y, i64 rows, i64 width,
                            double eps, i64 center) {
    typedef typename Wide<T>::type A;
    i64 row = G::row();
    if (row >= rows) return;
    const T* line = x + row * width;
    A mean, r;
    if (Line<T, G>::fits(width)) {
        Line<T, G> held(line, width, true);
        moments_of_line(held, eps, center, mean, r);
        const T* const more[2] = {w, b};
        held.put(more, y + row * width, [&](int k, i64, const A* v) {
            A normal = (held.at[k] - mean) * r;
            if (w) normal *= v[0];
            return b ? normal + v[1] : normal;
        });
        return;
    }
    moments_of_row<T, G>(line, width, eps, center, mean, r);
    const T* const lines[3] = {line, w ? w : line, b ? b : line};
    rewrite(lines, y + row * width, width, G::lane(), G::lanes(), [&](i64, const A* v) {
        A normal = (v[0] - mean) * r;
        if (w) normal *= v[1];
        return b ? normal + v[2] : normal;
    });
}

// A row is a group of channels, `inner` elements each, with a weight and a bias for each channel.
template <class T, class G>
__device__ void norm_of_group(const T* x, const T* w, const T* b, T* y, i64 rows, i64 width,
                              i64 groups, i64 inner, double eps) {
    typedef typename Wide<T>::type A;
    i64 row = G::row();
    if (row >= rows) return;
    const T* const lines[1] = {x + row * width};
    A mean, r;
    i64 first = row % groups * (width / inner);
    if (Line<T, G>::fits(width)) {
        Line<T, G> held(lines[0], width, true);
        moments_of_line(held, eps, 1, mean, r);
        const T* const none[1] = {nullptr};
        held.put(none, y + row * width, [&](int k, i64 i, const A*) {
            A normal = (held.at[k] - mean) * r;
            i64 channel = first + (i64)((u32)i / (u32)inner);
            if (w) normal *= wide(w[channel]);
            return b ? normal + wide(b[channel]) : normal;
        });
        return;
    }
    moments_of_row<T, G>(lines[0], width, eps, 1, mean, r);
    rewrite(lines, y + row * width, width, G::lane(), G::lanes(), [&](i64 i, const A* v) {
        A normal = (v[0] - mean) * r;
        i64 channel = first + (i64)((u32)i / (u32)inner);
        if (w) normal *= wide(w[channel]);
        return b ? normal + wide(b[channel]) : normal;
    });
}

// r (v - mean(v) - n mean(v n)) with v = g w and n = (x - mean) r; the row's mean and r are kept
// for `norm_columns`.
template <class T, class G>
__device__ void norm_backward_of_row(const T* g, const T* x, const T* w, T* out,
                                     typename Wide<T>::type* stats, i64 rows, i64 width,
                                     double eps, i64 center) {
    typedef typename Wide<T>::type A;
    i64 row = G::row();
    if (row >= rows) return;
    const T *line = x + row * width, *slopes = g + row * width;
    A mean, r, plain = A(0), along = A(0);
    auto keep = [&]() {
        if (stats && G::lane() == 0) {
            stats[2 * row] = mean;
            stats[2 * row + 1] = r;
        }
    };
    if (Line<T, G, 2>::fits(width)) {
        bool both = even(line) && even(slopes);
        Line<T, G, 2> held(line, width, both), s(slopes, width, both);
        moments_of_line(held, eps, center, mean, r);
        keep();
        s.each([&](int k, i64 i) {
            if (w) s.at[k] *= wide(w[i]);
            plain += s.at[k];
            along += s.at[k] * (held.at[k] - mean);
        });
        plain = center ? G::sum(plain) / A(width) : A(0);
        along = G::sum(along) * r / A(width);
        const T* const none[1] = {nullptr};
        s.put(none, out + row * width, [&](int k, i64, const A*) {
            return r * (s.at[k] - plain - (held.at[k] - mean) * r * along);
        });
        return;
    }
    moments_of_row<T, G>(line, width, eps, center, mean, r);
    keep();
    const T* const lines[3] = {line, slopes, w ? w : line};
    visit(lines, width, G::lane(), G::lanes(), [&](i64, const A* v) {
        A s = w ? v[1] * v[2] : v[1];
        plain += s;
        along += s * (v[0] - mean);
    });
    plain = center ? G::sum(plain) / A(width) : A(0);
    along = G::sum(along) * r / A(width);
    rewrite(lines, out + row * width, width, G::lane(), G::lanes(), [&](i64, const A* v) {
        A s = w ? v[1] * v[2] : v[1];
        return r * (s - plain - (v[0] - mean) * r * along);
    });
}

// Sums over some of the rows of g (x - mean) r and of g, for 32 columns: for weights and biases.
template <class T>
__device__ void norm_columns_of(const T* g, const T* x, const typename Wide<T>::type* stats,
                                typename Wide<T>::type* weights, typename Wide<T>::type* biases,
                                i64 rows, i64 width, i64 block) {
    typedef typename Wide<T>::type A;
    __shared__ A parts[2][8][32];
    int lane = threadIdx.x & 31, line = threadIdx.x >> 5;
    i64 tiles = (width + 31) / 32, part = blockIdx.x / tiles;
    i64 column = blockIdx.x % tiles * 32 + lane;
    i64 end = (part + 1) * block < rows ? (part + 1) * block : rows;
    A weight = A(0), bias = A(0);
    if (column < width)
        for (i64 row = part * block + line; row < end; row += 8) {
            A v = wide(g[row * width + column]);
            bias += v;
            weight += v * (wide(x[row * width + column]) - stats[2 * row]) * stats[2 * row + 1];
        }
    parts[0][line][lane] = weight;
    parts[1][line][lane] = bias;
    __syncthreads();
    if (line || column >= width) return;
    for (int k = 1; k < 8; k++) {
        weight += parts[0][k][lane];
        bias += parts[1][k][lane];
    }
    weights[part * width + column] = weight;
    biases[part * width + column] = bias;
}

#define ROWS(G, name) \
    KERNEL(norm_##name, (const T* x, const T* w, const T* b, T* y, i64 rows, i64 width, \
                         double eps, i64 center), \
           norm_of_row<T, G>(x, w, b, y, rows, width, eps, center)) \
    KERNEL(group_norm_##name, (const T* x, const T* w, const T* b, T* y, i64 rows, i64 width, \
                               i64 groups, i64 inner, double eps), \
           norm_of_group<T, G>(x, w, b, y, rows, width, groups, inner, eps)) \
    KERNEL(norm_backward_##name, (const T* g, const T* x, const T* w, T* out, A* stats, \
                                  i64 rows, i64 width, double eps, i64 center), \
           norm_backward_of_row<T, G>(g, x, w, out, stats, rows, width, eps, center))
ROWS(OneWarp, warps)
ROWS(OneBlock, blocks)
KERNEL(norm_columns, (const T* g, const T* x, const A* stats, A* weights, A* biases, i64 rows,
                      i64 width, i64 block),
       norm_columns_of<T>(g, x, stats, weights, biases, rows, width, block))

// -- channels -----------------------------------------------------------------------------------

struct Place {
    i64 lines, channels, inner;  // A, B, C
    __device__ i64 channel(i64 i) const { return i / inner % channels; }
};

// f(values) for one part of one channel's elements; the block's threads take turns.
template <class T, int K, class F>
__device__ i64 part_of_channel(const T* const (&in)[K], Place p, i64 channel, i64 part, i64 parts,
                               F f) {
    typedef typename Wide<T>::type A;
    const int size = Pack<T>::count;
    i64 count = p.lines * p.inner, each = ((count + parts - 1) / parts + size - 1) / size * size;
    i64 start = part * each, end = start + each < count ? start + each : count;
    bool packed = p.inner % size == 0;
    for (int k = 0; k < K; k++) packed = packed && even(in[k]);
    if (packed) {
        for (i64 i = start + threadIdx.x * size; i < end; i += (i64)blockDim.x * size) {
            i64 line = i / p.inner;
            i64 at = (line * p.channels + channel) * p.inner + (i - line * p.inner);
            Pack<T> got[K];
            for (int k = 0; k < K; k++) got[k] = *(const Pack<T>*)(in[k] + at);
#pragma unroll
            for (int j = 0; j < size; j++) {
                A v[K];
                for (int k = 0; k < K; k++) v[k] = wide(got[k].at[j]);
                f(v);
            }
        }
    } else if (p.inner >= 1024) {
        for (i64 i = start; i < end;) {
            i64 line = i / p.inner, stop = (line + 1) * p.inner < end ? (line + 1) * p.inner : end;
            const T* at[K];
            for (int k = 0; k < K; k++)
                at[k] = in[k] + (line * p.channels + channel) * p.inner + (i - line * p.inner);
            visit(at, stop - i, threadIdx.x, blockDim.x, [&](i64, const A* v) { f(v); });
            i = stop;
        }
    } else {
        for (i64 i = start + threadIdx.x; i < end; i += blockDim.x) {
            A v[K];
            i64 at = (i / p.inner * p.channels + channel) * p.inner + i % p.inner;
            for (int k = 0; k < K; k++) v[k] = wide(in[k][at]);
            f(v);
        }
    }
    return end > start ? end - start : 0;
}

template <class T>
__device__ void moments_of_part(const T* x, typename Wide<T>::type* found, Place p, i64 parts,
                                i64 center) {
    typedef typename Wide<T>::type A;
    i64 channel = blockIdx.x / parts, part = blockIdx.x % parts;
    const T* const in[1] = {x};
    A sum = A(0), square = A(0);
    i64 count = part_of_channel(in, p, channel, part, parts, [&](const A* v) { sum += v[0]; });
    A mean = center && count ? of_block(sum, Add(), A(0)) / A(count) : A(0);
    part_of_channel(in, p, channel, part, parts, [&](const A* v) {
        A d = v[0] - mean;
        square += d * d;
    });
    square = of_block(square, Add(), A(0));
    if (threadIdx.x) return;
    found[3 * blockIdx.x] = A(count);
    found[3 * blockIdx.x + 1] = mean;
    found[3 * blockIdx.x + 2] = square;
}

// Count, mean and sum of squares of some elements.
template <class A> struct Moments {
    A count, mean, square;
    __device__ void join(A n, A m, A s) {
        if (n == A(0)) return;
        A total = count + n, d = m - mean;
        mean = count == A(0) ? m : mean * (count / total) + m * (n / total);  // infinity stays
        square = count == A(0) ? s : square + s + d * d * (count * n / total);
        count = total;
    }
};

// The moments of whole channels, a warp's each: mean and mean square in A, and again in T if that
// is wanted.
template <class T>
__device__ void joined_moments(const typename Wide<T>::type* found, typename Wide<T>::type* means,
                               typename Wide<T>::type* squares, T* mean, T* square, i64 channels,
                               i64 parts) {
    typedef typename Wide<T>::type A;
    i64 c = OneWarp::row();
    if (c >= channels) return;
    Moments<A> all = {A(0), A(0), A(0)};
    for (i64 k = c * parts + OneWarp::lane(); k < (c + 1) * parts; k += 32)
        all.join(found[3 * k], found[3 * k + 1], found[3 * k + 2]);
    for (int step = 16; step > 0; step >>= 1) {
        A n = __shfl_xor_sync(0xffffffffu, all.count, step);
        A m = __shfl_xor_sync(0xffffffffu, all.mean, step);
        A s = __shfl_xor_sync(0xffffffffu, all.square, step);
        all.join(n, m, s);
    }
    if (OneWarp::lane()) return;
    A s = all.square / all.count;
    means[c] = all.mean;
    squares[c] = s;
    if (mean) narrow(all.mean, mean[c]);
    if (square) narrow(s, square[c]);
}

// out = f(channel, values) for all of (A, B, C).
template <class T, int K, class F>
__device__ void by_channel(const T* const (&in)[K], T* out, Place p, F f) {
    typedef typename Wide<T>::type A;
    const int count = Pack<T>::count;
    i64 n = p.lines * p.channels * p.inner;
    bool packed = p.inner % count == 0 && even(out);
    for (int k = 0; k < K; k++) packed = packed && even(in[k]);
    if (!packed) {
        for (i64 i = thread_number(); i < n; i += thread_count()) {
            A v[K];
            for (int k = 0; k < K; k++) v[k] = wide(in[k][i]);
            narrow(A(f(p.channel(i), v)), out[i]);
        }
        return;
    }
    for (i64 q = thread_number(); q < n / count; q += thread_count()) {
        Pack<T> got[K], made_;
        for (int k = 0; k < K; k++) got[k] = ((const Pack<T>*)in[k])[q];
        i64 channel = p.channel(q * count);
#pragma unroll
        for (int j = 0; j < count; j++) {
            A v[K];
            for (int k = 0; k < K; k++) v[k] = wide(got[k].at[j]);
            narrow(A(f(channel, v)), made_.at[j]);
        }
        ((Pack<T>*)out)[q] = made_;
    }
}

template <class T>
__device__ void norm_of_channels(const T* x, const T* w, const T* b,
                                 const typename Wide<T>::type* means,
                                 const typename Wide<T>::type* squares, T* y, Place p, double eps) {
    typedef typename Wide<T>::type A;
    const T* const in[1] = {x};
    by_channel(in, y, p, [&](i64 c, const A* v) {
        A normal = (v[0] - means[c]) * (A(1) / sqrt_(squares[c] + A(eps)));
        if (w) normal *= wide(w[c]);
        return b ? normal + wide(b[c]) : normal;
    });
}

// Sums of g and of g (x - mean) over a part.
template <class T>
__device__ void gradients_of_part(const T* g, const T* x, const typename Wide<T>::type* means,
                                  typename Wide<T>::type* found, Place p, i64 parts) {
    typedef typename Wide<T>::type A;
    i64 channel = blockIdx.x / parts;
    const T* const in[2] = {g, x};
    A mean = means[channel], plain = A(0), along = A(0);
    part_of_channel(in, p, channel, blockIdx.x % parts, parts, [&](const A* v) {
        plain += v[0];
        along += v[0] * (v[1] - mean);
    });
    plain = of_block(plain, Add(), A(0));
    along = of_block(along, Add(), A(0));
    if (threadIdx.x) return;
    found[2 * blockIdx.x] = plain;
    found[2 * blockIdx.x + 1] = along;
}

// What weights and biases get, and the sums of whole channels, a warp's each.
template <class T>
__device__ void joined_gradients(const typename Wide<T>::type* found,
                                 const typename Wide<T>::type* squares,
                                 typename Wide<T>::type* sums, T* weights, T* biases,
                                 i64 channels, i64 parts, double eps) {
    typedef typename Wide<T>::type A;
    i64 c = OneWarp::row();
    if (c >= channels) return;
    A plain = A(0), along = A(0);
    for (i64 k = c * parts + OneWarp::lane(); k < (c + 1) * parts; k += 32) {
        plain += found[2 * k];
        along += found[2 * k + 1];
    }
    plain = OneWarp::sum(plain);
    along = OneWarp::sum(along);
    if (OneWarp::lane()) return;
    sums[2 * c] = plain;
    sums[2 * c + 1] = along;
    narrow(along / sqrt_(squares[c] + A(eps)), weights[c]);
    narrow(plain, biases[c]);
}

template <class T>
__device__ void norm_backward_of_channels(const T* g, const T* x, const T* w,
                                          const typename Wide<T>::type* means,
                                          const typename Wide<T>::type* squares,
                                          const typename Wide<T>::type* sums, T* out, Place p,
                                          double eps, i64 center) {
    typedef typename Wide<T>::type A;
    const T* const in[2] = {g, x};
    A size = A(p.lines * p.inner);
    by_channel(in, out, p, [&](i64 c, const A* v) {
        A r = A(1) / sqrt_(squares[c] + A(eps));
        A lost = center ? sums[2 * c] / size : A(0), slope = sums[2 * c + 1] / size * r * r;
        return (w ? r * wide(w[c]) : r) * (v[0] - lost - (v[1] - means[c]) * slope);
    });
}

#define PLACE i64 lines, i64 channels, i64 inner
#define PLACED Place{lines, channels, inner}
KERNEL(channel_moments, (const T* x, A* found, PLACE, i64 parts, i64 center),
       moments_of_part<T>(x, found, PLACED, parts, center))
KERNEL(channel_joined,
       (T* mean, T* square, const A* found, A* means, A* squares, i64 channels, i64 parts),
       joined_moments<T>(found, means, squares, mean, square, channels, parts))
KERNEL(channel_norm, (const T* x, const T* w, const T* b, const A* means, const A* squares, T* y,
                      PLACE, double eps),
       norm_of_channels<T>(x, w, b, means, squares, y, PLACED, eps))
KERNEL(channel_gradients,
       (const T* g, const T* x, const A* means, A* found, PLACE, i64 parts),
       gradients_of_part<T>(g, x, means, found, PLACED, parts))
KERNEL(channel_gradients_joined,
       (T* weights, T* biases, const A* found, const A* squares, A* sums, i64 channels, i64 parts,
        double eps),
       joined_gradients<T>(found, squares, sums, weights, biases, channels, parts, eps))
KERNEL(channel_norm_backward,
       (const T* g, const T* x, const T* w, const A* means, const A* squares, const A* sums,
        T* out, PLACE, double eps, i64 center),
       norm_backward_of_channels<T>(g, x, w, means, squares, sums, out, PLACED, eps, center))
