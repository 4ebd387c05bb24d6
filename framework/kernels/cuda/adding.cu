// Slices looked up by an index, and slices added up where an index says. Results are seen as
// (outer, rows, inner), what is added as (outer, count, inner), the index as (count,) or, if it
// names a place for each element, (outer, count, inner). An index below zero counts from the end.

template <class A> __device__ inline void add_to(A* at, A value) { atomicAdd(at, value); }

template <class T>
__device__ void bad_places_of(const i64* index, i64* bad, i64 n, i64 low, i64 rows) {
    for (i64 i = thread_number(); i < n; i += thread_count())
        if (index[i] < low || index[i] >= rows) atomicAdd((u64*)bad, (u64)1);
}

// out[k] = table[index[k]], rows of `width`.
template <class T>
__device__ void rows_of(const T* table, const i64* index, T* out, i64 n, i64 width) {
    const int count = Pack<T>::count;
    if (width % count == 0 && even(table) && even(out)) {
        i64 packs = width / count;
        for (i64 i = thread_number(); i < n * packs; i += thread_count())
            ((Pack<T>*)out)[i] = ((const Pack<T>*)table)[index[i / packs] * packs + i % packs];
    } else {
        for (i64 i = thread_number(); i < n * width; i += thread_count())
            out[i] = table[index[i / width] * width + i % width];
    }
}

// Each element where its index says, in whatever order.
template <class T>
__device__ void add_anyhow_of(const T* values, const i64* index, typename Wide<T>::type* out,
                              i64 outer, i64 count, i64 inner, i64 rows, i64 each, i64 skip) {
    if (inner >= 32) {  // a warp has a line: divisions are dear
        for (i64 line = thread_number() >> 5; line < outer * count; line += thread_count() >> 5) {
            i64 block = line / count, k = line - block * count;
            typename Wide<T>::type* plane = out + block * rows * inner;
            for (i64 c = threadIdx.x & 31; c < inner; c += 32) {
                i64 place = index[each ? line * inner + c : k];
                if (place == skip) continue;
                if (place < 0) place += rows;
                if (place < 0 || place >= rows) continue;  // nobody may have looked before
                add_to(plane + place * inner + c, wide(values[line * inner + c]));
            }
        }
        return;
    }
    for (i64 i = thread_number(); i < outer * count * inner; i += thread_count()) {
        i64 place = index[each ? i : i / inner % count];
        if (place == skip) continue;
        if (place < 0) place += rows;
        if (place < 0 || place >= rows) continue;
        add_to(out + (i / (count * inner) * rows + place) * inner + i % inner, wide(values[i]));
    }
}

// The same in the order of `count`: `order` sorts the index, so that equal places are neighbours
// and stay in their order; the thread of a run's first element adds the whole run up.
template <class T>
__device__ void add_in_order_of(const T* values, const i64* index, const i64* order,
                                typename Wide<T>::type* out, i64 outer, i64 count, i64 inner,
                                i64 rows, i64 skip) {
    for (i64 i = thread_number(); i < outer * count * inner; i += thread_count()) {
        i64 k = i / inner % count, block = i / (count * inner), column = i % inner;
        i64 place = index[order[k]];
        if (place == skip || (k && index[order[k - 1]] == place)) continue;
        i64 row = place < 0 ? place + rows : place;
        if (row < 0 || row >= rows) continue;
        typename Wide<T>::type* at = out + (block * rows + row) * inner + column;
        typename Wide<T>::type sum = *at;
        for (; k < count && index[order[k]] == place; k++)
            sum += wide(values[(block * count + order[k]) * inner + column]);
        *at = sum;
    }
}

KERNEL(bad_places, (const T* like, const i64* index, i64* bad, i64 n, i64 low, i64 rows),
       bad_places_of<T>(index, bad, n, low, rows))
KERNEL(rows, (const T* table, const i64* index, T* out, i64 n, i64 width),
       rows_of(table, index, out, n, width))
KERNEL(add_anyhow,
       (const T* values, const i64* index, A* out, i64 outer, i64 count, i64 inner, i64 rows,
        i64 each, i64 skip),
       add_anyhow_of(values, index, out, outer, count, inner, rows, each, skip))
KERNEL(add_in_order,
       (const T* values, const i64* index, const i64* order, A* out, i64 outer, i64 count,
        i64 inner, i64 rows, i64 skip),
       add_in_order_of(values, index, order, out, outer, count, inner, rows, skip))
