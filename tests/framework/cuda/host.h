// CUDA C as C++ for the host: a block's threads are fibers that take turns at barriers.
//
// What a kernel computes is the same, in one thread and in an order that can be turned round: a
// barrier that is missing shows as a difference between the two orders. A thread runs until it has
// to wait (a barrier of its block, or its warp's exchange of values); one that never waits needs no
// fiber of its own.

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <tuple>
#include <ucontext.h>
#include <utility>
#include <vector>

#define __device__
#define __global__
#define __forceinline__ inline
#define __restrict__
#define __shared__ static
#define __launch_bounds__(...)

#ifdef HOST_RACES  // also watch for races: races.cpp
#include "races.h"
#define HOST_TELL(...) __VA_ARGS__
#define HOST_UNWATCHED [[gnu::no_sanitize("thread")]]
#else
#define HOST_TELL(...)
#define HOST_UNWATCHED
#endif

struct Dim { unsigned x = 1, y = 1, z = 1; };
static Dim threadIdx, blockIdx, blockDim, gridDim;

template <class To, class From> static To host_bits(From x) {
    static_assert(sizeof(To) == sizeof(From), "of one size");
    To y;
    std::memcpy(&y, &x, sizeof(y));
    return y;
}
static inline float __uint_as_float(unsigned x) { return host_bits<float>(x); }
static inline unsigned __float_as_uint(float x) { return host_bits<unsigned>(x); }
static inline double __longlong_as_double(long long x) { return host_bits<double>(x); }
static inline long long __double_as_longlong(double x) { return host_bits<long long>(x); }
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline float __fadd_rn(float a, float b) { return a + b; }
static inline double __dmul_rn(double a, double b) { return a * b; }
static inline double __dadd_rn(double a, double b) { return a + b; }
static inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    return (unsigned long long)(((unsigned __int128)a * b) >> 64);
}

// -- float16 ------------------------------------------------------------------------------------

HOST_UNWATCHED static float host_widened(unsigned short h) {
    int exponent = (h >> 10) & 31, mantissa = h & 1023;
    float size = exponent == 31 ? (mantissa ? NAN : INFINITY)
                 : exponent     ? std::ldexp(1024.0f + mantissa, exponent - 25)
                                : std::ldexp((float)mantissa, -24);
    return std::copysign(size, h & 0x8000 ? -1.0f : 1.0f);
}

HOST_UNWATCHED static unsigned short host_narrowed(float x) {
    unsigned sign = __float_as_uint(x) >> 16 & 0x8000;
    float size = std::fabs(x);
    if (x != x) return (unsigned short)(sign | 0x7e00);
    if (size >= 65520.0f) return (unsigned short)(sign | 0x7c00);
    if (size < std::ldexp(1.0f, -14))  // below the normal numbers: multiples of 2^-24
        return (unsigned short)(sign | (unsigned)std::nearbyint(std::ldexp(size, 24)));
    int exponent;
    float part = std::frexp(size, &exponent);  // 0.5 <= part < 1
    unsigned mantissa = (unsigned)std::nearbyint(std::ldexp(part, 11));  // 1024 .. 2048
    return (unsigned short)(sign | (((unsigned)(exponent + 13) << 10) + mantissa));
}

// -- threads as fibers --------------------------------------------------------------------------

enum HostState { READY, AT_BLOCK, AT_WARP, DONE };

// Where to go on. The compiler's own jumps keep only what is needed: half the time of setjmp's.
// Functions that jump or are jumped to are `noipa`: callers must not count on registers they leave.
typedef void* HostPlace[5];

struct HostFiber {
    ucontext_t start;  // only to begin with: it asks the system for its signals each time
    HostPlace at;
    bool started = false;
};

struct HostFetch {
    void* to;
    const void* from;
    int bytes;
    bool there;
    void now() const {
        if (there) std::memcpy(to, from, bytes);
        else std::memset(to, 0, bytes);
    }
};

struct HostThread {
    HostState state = READY;
    HostFiber* fiber = nullptr;     // where it stands, once it waits
    unsigned long long slots[2];    // what it gives its warp, in turn: others may still read one
    unsigned words[2][6];           // the same, of its part of matrices
    unsigned exchanges = 0;
    unsigned syncs = 0;  // of its warp
    std::vector<std::vector<HostFetch>> groups;  // copies that are under way, the last one open
};

struct HostBlock {
    std::vector<HostThread> threads;
    std::vector<HostFiber*> spare;
    HostPlace scheduler;
    HostFiber* running = nullptr;
    int current = 0;
    int begun = 0;  // threads that have begun, in their order
    bool backwards = false;
    unsigned barriers = 0;  // that all have passed
    void (*body)(void*) = nullptr;
    void* arguments = nullptr;
};
static HostBlock host_block;

[[noreturn]] static void host_fail(const char* what) {
    std::fprintf(stderr, "host.h: %s (block %u, thread %d)\n", what, blockIdx.x,
                 host_block.current);
    std::abort();
}

static const int HOST_STACK = 1 << 16;

// A function of its own: one that comes back by such a jump must not make one.
[[noreturn, gnu::noipa]] static void host_to_scheduler() {
    __builtin_longjmp(host_block.scheduler, 1);
}

[[noreturn, gnu::noipa]] static void host_resume(HostFiber* fiber) {
    if (fiber->started) __builtin_longjmp(fiber->at, 1);
    fiber->started = true;
    setcontext(&fiber->start);
    host_fail("a fiber could not be started");
}

static int host_ordered(int k) {
    return host_block.backwards ? (int)host_block.threads.size() - 1 - k : k;
}

// From here on thread i runs.
static void host_turn_to(int i) {
    host_block.current = i;
    threadIdx.x = (unsigned)i;
    HOST_TELL(races_now = {true, blockIdx.x, (unsigned)i, host_block.barriers,
                           host_block.threads[i].syncs};)
}

static void host_begin(int i) {
    host_block.begun++;
    host_turn_to(i);
}

// Runs threads one after the other until one of them waits; that one keeps the fiber.
[[gnu::noipa]] static void host_fiber() {
    HostBlock& b = host_block;
    for (;;) {
        b.body(b.arguments);
        HostThread& t = b.threads[b.current];
        for (const std::vector<HostFetch>& group : t.groups)
            if (!group.empty()) host_fail("a thread has ended before what it fetched is there");
        t.state = DONE;
        if (b.begun < (int)b.threads.size()) {
            host_begin(host_ordered(b.begun));
        } else {
            b.spare.push_back(b.running);
            if (!__builtin_setjmp(b.running->at)) host_to_scheduler();
        }
    }
}

static HostFiber* host_new_fiber() {
    HostBlock& b = host_block;
    if (!b.spare.empty()) {
        HostFiber* found = b.spare.back();
        b.spare.pop_back();
        return found;
    }
    HostFiber* made = new HostFiber;
    getcontext(&made->start);
    made->start.uc_stack.ss_sp = std::malloc(HOST_STACK);
    made->start.uc_stack.ss_size = HOST_STACK;
    made->start.uc_link = nullptr;
    makecontext(&made->start, host_fiber, 0);
    return made;
}

[[gnu::noipa]] static void host_wait(HostState state) {
    HostBlock& b = host_block;
    HostThread& t = b.threads[b.current];
    t.state = state;
    t.fiber = b.running;
    if (!__builtin_setjmp(t.fiber->at)) host_to_scheduler();
    HostThread& again = host_block.threads[host_block.current];
    again.fiber = nullptr;
    again.state = READY;
}

static void __syncthreads() { host_wait(AT_BLOCK); }
static void __syncwarp(unsigned = ~0u) {
    host_wait(AT_WARP);
    HOST_TELL(races_now.warp_step = ++host_block.threads[host_block.current].syncs;)
}

template <class A> static A __shfl_sync(unsigned mask, A value, int lane) {
    static_assert(sizeof(A) <= 8, "at most eight bytes");
    if (mask != ~0u) host_fail("only whole warps exchange values here");
    HostBlock& b = host_block;
    int other = (b.current & ~31) + (lane & 31);
    if (other >= (int)b.threads.size()) host_fail("a lane that is not there was asked");
    int slot = b.threads[b.current].exchanges++ & 1;
    std::memcpy(&b.threads[b.current].slots[slot], &value, sizeof(A));
    host_wait(AT_WARP);
    A got;
    std::memcpy(&got, &b.threads[other].slots[slot], sizeof(A));
    return got;
}
template <class A> static A __shfl_xor_sync(unsigned mask, A value, int with) {
    return __shfl_sync(mask, value, (host_block.current & 31) ^ with);
}
template <class A> static A __shfl_down_sync(unsigned mask, A value, int by) {
    int lane = host_block.current & 31;
    return __shfl_sync(mask, value, lane + by < 32 ? lane + by : lane);
}

// -- tensor cores, and copies that go on meanwhile (tensor_cores.cuh) ---------------------------

// What all lanes of the warp have, after each has put down its own words.
template <int N> struct HostWarp { unsigned of[32][N]; };
template <int N> HOST_UNWATCHED static HostWarp<N> host_gathered(const unsigned (&mine)[N]) {
    HostBlock& b = host_block;
    int first = b.current & ~31, slot = b.threads[b.current].exchanges++ & 1;
    if (first + 32 > (int)b.threads.size()) host_fail("only whole warps multiply");
    std::memcpy(b.threads[b.current].words[slot], mine, sizeof(mine));
    host_wait(AT_WARP);
    HostWarp<N> all;
    for (int i = 0; i < 32; i++)
        std::memcpy(all.of[i], host_block.threads[first + i].words[slot], sizeof(mine));
    return all;
}

HOST_UNWATCHED static float host_part(unsigned word, int k, const char* kind) {
    if (*kind == 't') return __uint_as_float(word & 0xffffe000u);  // the rest is not looked at
    unsigned short bits = (unsigned short)(k ? word >> 16 : word);
    return *kind == 'b' ? __uint_as_float((unsigned)bits << 16) : host_widened(bits);
}

HOST_UNWATCHED static void host_multiply(float (&c)[4], const unsigned (&a)[4],
                                         const unsigned (&b)[2], const char* kind) {
    unsigned mine[6] = {a[0], a[1], a[2], a[3], b[0], b[1]};
    HostWarp<6> all = host_gathered(mine);
    int lane = host_block.current & 31, in_word = *kind == 't' ? 1 : 2;
    for (int i = 0; i < 4; i++) {
        int row = lane / 4 + (i / 2) * 8, column = lane % 4 * 2 + i % 2;
        for (int k = 0; k < 8 * in_word; k++) {
            int half = k / (4 * in_word), t = k / in_word % 4;
            unsigned left = all.of[row % 8 * 4 + t][row / 8 + 2 * half];
            unsigned right = all.of[column * 4 + t][4 + half];
            c[i] += host_part(left, k % in_word, kind) * host_part(right, k % in_word, kind);
        }
    }
}

static void host_even(const void* at, int bytes) {
    if ((unsigned long long)at % bytes) host_fail("an address is no multiple of the bytes there");
}

static void host_load_tiles(unsigned (&to)[4], const void* row, bool turned) {
    unsigned long long address = (unsigned long long)row;
    host_even(row, 16);
    unsigned mine[2] = {(unsigned)address, (unsigned)(address >> 32)};
    HostWarp<2> all = host_gathered(mine);
    int g = (host_block.current & 31) / 4, t = host_block.current % 4;
    for (int i = 0; i < 4; i++) {
        auto half = [&](int r, int column) {
            const unsigned* at = all.of[8 * i + r];
            return ((const unsigned short*)(at[0] | (unsigned long long)at[1] << 32))[column];
        };
        unsigned low = turned ? half(2 * t, g) : half(g, 2 * t);
        unsigned high = turned ? half(2 * t + 1, g) : half(g, 2 * t + 1);
        to[i] = low | high << 16;
    }
}

// With the threads in their order at once, backwards as late as can be, with something else there
// until then: who reads what was not waited for, or fetches to where others still read, gets it.
HOST_UNWATCHED static void host_fetch(void* to, const void* from, int bytes, bool there) {
    host_even(to, bytes);
    if (there) host_even(from, bytes);
    std::vector<std::vector<HostFetch>>& groups = host_block.threads[host_block.current].groups;
    if (groups.empty()) groups.emplace_back();
    HostFetch fetch = {to, from, bytes, there};
    if (host_block.backwards) std::memset(to, 0xA5, bytes);
    else fetch.now();
    groups.back().push_back(fetch);
    HOST_TELL(races_fetch(to, from, bytes, there, __builtin_return_address(0));)
}
static void host_end_group() {
    std::vector<std::vector<HostFetch>>& groups = host_block.threads[host_block.current].groups;
    if (groups.empty()) groups.emplace_back();
    groups.emplace_back();
}
HOST_UNWATCHED static void host_wait_for_groups(int left) {
    std::vector<std::vector<HostFetch>>& groups = host_block.threads[host_block.current].groups;
    while ((int)groups.size() - 1 > left) {
        for (const HostFetch& fetch : groups.front()) {
            if (host_block.backwards) fetch.now();
            HOST_TELL(races_fetched(fetch.to, fetch.bytes, __builtin_return_address(0));)
        }
        groups.erase(groups.begin());
    }
}

// Let go who waits for nobody any more: a warp, else the block. False: all have ended.
static bool host_release() {
    std::vector<HostThread>& threads = host_block.threads;
    int count = (int)threads.size();
    bool released = false, left = false, block = true;
    for (int first = 0; first < count; first += 32) {
        bool all = true, some = false;
        int end = first + 32 < count ? first + 32 : count;
        for (int i = first; i < end; i++) {
            HostState s = threads[i].state;
            some = some || s == AT_WARP;
            all = all && s == AT_WARP;
            left = left || s != DONE;
            block = block && (s == AT_BLOCK || s == DONE);
        }
        if (some && !all) {
            for (int i = first; i < end; i++)
                if (threads[i].state == DONE) host_fail("a warp waits for a thread that has ended");
        }
        if (all) {
            for (int i = first; i < end; i++) threads[i].state = READY;
            released = true;
        }
    }
    if (released) return true;
    if (!left) return false;
    if (!block) host_fail("some threads wait at a barrier that others do not reach");
    host_block.barriers++;
    for (HostThread& t : threads)
        if (t.state == AT_BLOCK) t.state = READY;
    return true;
}

[[gnu::noipa]] static void host_run_thread(int i) {
    HostBlock& b = host_block;
    if (b.threads[i].fiber) {
        b.running = b.threads[i].fiber;
        host_turn_to(i);
    } else {
        b.running = host_new_fiber();
        host_begin(i);
    }
    if (!__builtin_setjmp(b.scheduler)) host_resume(b.running);
}

static void host_run_block(int count) {
    HostBlock& b = host_block;
    b.threads.assign(count, HostThread());
    b.begun = 0;
    b.barriers = 0;
    do {
        for (int k = 0; k < count; k++) {
            int i = host_ordered(k);
            if (b.threads[i].state == READY) host_run_thread(i);
        }
    } while (host_release());
}

template <class P> static P host_word(unsigned long long word) { return host_bits<P>(word); }

template <class... P> struct HostCall {
    void (*kernel)(P...);
    unsigned long long* words;
    template <size_t... I> void run(std::index_sequence<I...>) {
        kernel(host_word<P>(words[I])...);
    }
    static void body(void* self) {
        ((HostCall*)self)->run(std::make_index_sequence<sizeof...(P)>());
    }
};

// Returns how many arguments the kernel has; runs it if that many are given.
template <class... P>
static int host_launch(void (*kernel)(P...), long long blocks, long long threads,
                       unsigned long long* words, int given, int order) {
    if (given != (int)sizeof...(P)) return (int)sizeof...(P);
    HostCall<P...> call = {kernel, words};
    host_block.body = HostCall<P...>::body;
    host_block.arguments = &call;
    host_block.backwards = order & 1;
    blockDim.x = (unsigned)threads;
    gridDim.x = (unsigned)blocks;
    HOST_TELL(for (Dim* d : {&threadIdx, &blockIdx, &blockDim, &gridDim})
                  races_ignore(d, sizeof(Dim));
              races_ignore(&host_block, sizeof(host_block));)
    for (long long k = 0; k < blocks; k++) {
        blockIdx.x = (unsigned)(order & 1 ? blocks - 1 - k : k);
        host_run_block((int)threads);
    }
    HOST_TELL(races_now.running = false;)
    return given;
}

// -- atomics: one thread runs at a time ---------------------------------------------------------

template <class A> HOST_UNWATCHED static A atomicAdd(A* at, A value) {
    HOST_TELL(races_atomic(at, sizeof(A), __builtin_return_address(0));)
    A before = *at;
    *at = before + value;
    return before;
}
template <class A> HOST_UNWATCHED static A atomicCAS(A* at, A expected, A value) {
    HOST_TELL(races_atomic(at, sizeof(A), __builtin_return_address(0));)
    A before = *at;
    if (before == expected) *at = value;
    return before;
}
template <class A> HOST_UNWATCHED static A atomicMax(A* at, A value) {
    HOST_TELL(races_atomic(at, sizeof(A), __builtin_return_address(0));)
    A before = *at;
    if (value > before) *at = value;
    return before;
}
template <class A> HOST_UNWATCHED static A atomicOr(A* at, A value) {
    HOST_TELL(races_atomic(at, sizeof(A), __builtin_return_address(0));)
    A before = *at;
    *at = before | value;
    return before;
}

static std::string& host_names() {
    static std::string names;
    return names;
}
struct HostName {
    HostName(const char* name) { host_names().append(name).append(" "); }
};
extern "C" const char* host_entries() { return host_names().c_str(); }

// How many threads a block has at most, which the device's compiler is promised, is kept.
#define ENTRY(name) \
    extern "C" { \
    extern const int name##_most[]; \
    const int name##_most[] = {THREADS}; \
    } \
    extern "C" void name
#define ENTERED(name) \
    static HostName name##_named(#name); \
    extern "C" int name##_host(long long blocks, long long threads, unsigned long long* words, \
                               int given, int order) { \
        return host_launch(&name, blocks, threads, words, given, order); \
    }
