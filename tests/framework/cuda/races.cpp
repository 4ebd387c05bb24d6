// Which threads of a kernel touch the same byte without an order between them.
//
// Kernels compiled with -fsanitize=thread call the functions below at each read and write; they
// stand in for the sanitizer's own runtime, for whose threads these are not (host.h's are fibers).
// An order between two threads of a block comes from a barrier of the block, between two of a warp
// from __syncwarp, too; an exchange of values (shuffles, tensor cores) orders no memory, and nothing
// orders two blocks of a launch. Atomics are in order with each other only. What is fetched ahead
// belongs to nobody until the thread that fetched it has waited for it.
//
// Arrays of a launch are watched and the library's own data, which is shared memory: a block finds
// there nothing of the blocks before it, and must not read what none of its threads has written.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <link.h>
#include <memory>
#include <string>
#include <vector>

#include "races.h"

RacesNow races_now;

namespace {

enum Kind : uint8_t { READ, WRITE, ATOMIC };

struct Access {
    uint32_t block = 0, step = 0, at = 0;  // at: where in the library the code is
    uint16_t thread = 0, warp_step = 0;
    bool there = false, atomic = false;
    // Of reads: others of the same step have read as well, of this warp, of this block, of others.
    bool warp = false, warps = false, blocks = false;
};

struct Byte {
    Access write, read;
    bool ignored = false, fetched = false;  // fetched: and not waited for
};

const size_t PAGE = 1024;

struct Watched {
    uintptr_t first = 0, end = 0;
    bool shared = false;
    int number = 0;
    std::vector<std::unique_ptr<Byte[]>> pages;  // each made when it is touched

    Watched() = default;
    Watched(uintptr_t first, uintptr_t end, bool shared, int number)
        : first(first), end(end), shared(shared), number(number),
          pages((end - first) / PAGE + 1) {}
    Byte& at(uintptr_t address) {
        std::unique_ptr<Byte[]>& page = pages[(address - first) / PAGE];
        if (!page) page.reset(new Byte[PAGE]);
        return page[(address - first) % PAGE];
    }
};

std::vector<Watched> watched;
std::string found;
int count_found = 0;
uintptr_t base = 0, lowest = 0;  // lowest: of what is watched, above which stacks seldom lie

// What is loaded where: the segment of this library that can be written.
int segment(dl_phdr_info* info, size_t, void* out) {
    uintptr_t mine = (uintptr_t)&watched;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr)& part = info->dlpi_phdr[i];
        uintptr_t first = info->dlpi_addr + part.p_vaddr;
        if (part.p_type != PT_LOAD || !(part.p_flags & PF_W)) continue;
        if (mine < first || mine >= first + part.p_memsz) continue;
        *(Watched*)out = Watched(first, first + part.p_memsz, true, -1);
        base = info->dlpi_addr;
        return 1;
    }
    return 0;
}

Access here(uintptr_t code, bool atomic) {
    Access a;
    a.block = races_now.block;
    a.step = races_now.step;
    a.thread = (uint16_t)races_now.thread;
    a.warp_step = (uint16_t)races_now.warp_step;
    a.at = (uint32_t)(code - base);
    a.there = true;
    a.atomic = atomic;
    return a;
}

// Whether nothing orders what was before and what is now. Of shared memory one block is looked at.
bool unordered(const Access& before, const Access& now, bool shared) {
    if (!before.there) return false;
    if (before.block != now.block) return !shared;
    if (before.blocks && !shared) return true;
    if (before.step != now.step) return false;
    if (before.thread / 32 != now.thread / 32 || before.warps) return true;
    if (before.warp_step != now.warp_step) return false;
    return before.thread != now.thread || before.warp;
}

void report(const char* what, const Watched& w, uintptr_t at, const Access& a, const Access& b) {
    if (count_found++ >= 5) return;  // more of the same, mostly
    char line[300];
    std::snprintf(line, sizeof(line), "%s %d %lld %u %u %u %u %x %x\n", what,
                  w.number, (long long)(at - w.first), a.block, a.thread, b.block,
                  b.thread, a.at, b.at);
    found += line;
}

// A read is remembered together with those that nothing orders with it.
void remember(Access& read, const Access& now, bool shared) {
    if (read.there && (read.block == now.block || !shared)) {
        if (read.blocks || read.block != now.block) {
            read = now;
            read.blocks = true;
            return;
        }
        if (read.step == now.step) {
            if (read.warps || read.thread / 32 != now.thread / 32) {
                read.warps = true;
                return;
            }
            if (read.warp_step == now.warp_step) {
                if (read.thread != now.thread) read.warp = true;
                return;
            }
        }
    }
    read = now;
}

void touch(uintptr_t at, size_t size, Kind kind, uintptr_t code) {
    if (at < lowest || !races_now.running) return;
    for (Watched& w : watched) {
        if (at < w.first || at >= w.end) continue;
        Access now = here(code, kind == ATOMIC);
        int reported = count_found;
        for (size_t k = 0; k < size && at + k < w.end; k++) {
            Byte& byte = w.at(at + k);
            if (byte.ignored) return;
            bool first = count_found == reported;  // once for each access
            if (first && byte.fetched) report("fetched", w, at + k, byte.write, now);
            bool both = byte.write.atomic && now.atomic;
            if (first && !byte.fetched && !both && unordered(byte.write, now, w.shared))
                report(kind == READ ? "written-read" : "written-written", w, at + k, byte.write,
                       now);
            bool anyones = byte.write.there && byte.write.block == now.block;
            if (first && w.shared && kind != WRITE && !anyones)
                report("read-unwritten", w, at + k, now, now);
            if (kind == READ) {
                remember(byte.read, now, w.shared);
            } else {
                if (first && unordered(byte.read, now, w.shared))
                    report("read-written", w, at + k, byte.read, now);
                byte.write = now;
                byte.read = Access();
            }
        }
        return;
    }
}

}  // namespace

extern "C" {

void races_begin() {
    watched.clear();
    found.clear();
    count_found = 0;
    Watched shared;
    dl_iterate_phdr(segment, &shared);
    lowest = shared.first;
    watched.push_back(std::move(shared));
    races_ignore(&races_now, sizeof(races_now));
}

void races_watch(void* first, long long size, int number) {
    lowest = std::min(lowest, (uintptr_t)first);
    watched.emplace_back((uintptr_t)first, (uintptr_t)first + size, false, number);
}

const char* races_found() { return found.c_str(); }

void races_ignore(const void* first, size_t size) {
    for (size_t k = 0; k < size; k++) watched.front().at((uintptr_t)first + k).ignored = true;
}

void races_atomic(const void* at, size_t size, void* code) {
    touch((uintptr_t)at, size, ATOMIC, (uintptr_t)code);
}

void races_fetch(const void* to, const void* from, size_t size, bool there, void* called) {
    uintptr_t code = (uintptr_t)called;
    if (there) touch((uintptr_t)from, size, READ, code);
    touch((uintptr_t)to, size, WRITE, code);
    for (Watched& w : watched)
        if ((uintptr_t)to >= w.first && (uintptr_t)to < w.end)
            for (size_t k = 0; k < size; k++) w.at((uintptr_t)to + k).fetched = true;
}

void races_fetched(const void* to, size_t size, void* code) {
    for (Watched& w : watched)
        if ((uintptr_t)to >= w.first && (uintptr_t)to < w.end)
            for (size_t k = 0; k < size; k++) w.at((uintptr_t)to + k).fetched = false;
    touch((uintptr_t)to, size, WRITE, (uintptr_t)code);
}

// What the compiler calls (the interface of its -fsanitize=thread).
#define TOUCHED(size) \
    void __tsan_read##size(void* at) { \
        touch((uintptr_t)at, size, READ, (uintptr_t)__builtin_return_address(0)); \
    } \
    void __tsan_write##size(void* at) { \
        touch((uintptr_t)at, size, WRITE, (uintptr_t)__builtin_return_address(0)); \
    } \
    void __tsan_unaligned_read##size(void* at) { \
        touch((uintptr_t)at, size, READ, (uintptr_t)__builtin_return_address(0)); \
    } \
    void __tsan_unaligned_write##size(void* at) { \
        touch((uintptr_t)at, size, WRITE, (uintptr_t)__builtin_return_address(0)); \
    }
TOUCHED(1)
TOUCHED(2)
TOUCHED(4)
TOUCHED(8)
TOUCHED(16)
void __tsan_read_range(void* at, size_t size) {
    touch((uintptr_t)at, size, READ, (uintptr_t)__builtin_return_address(0));
}
void __tsan_write_range(void* at, size_t size) {
    touch((uintptr_t)at, size, WRITE, (uintptr_t)__builtin_return_address(0));
}
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void*, void*) {}
}
