// What host.h tells the watch for races (races.cpp).

#pragma once
#include <cstddef>

struct RacesNow {
    bool running;        // within a launch
    unsigned block, thread;
    unsigned step;       // barriers of this block so far
    unsigned warp_step;  // this thread's __syncwarp so far
};
extern RacesNow races_now;

extern "C" {
void races_begin();                                            // before a launch
void races_watch(void* first, long long size, int number);     // one of its arrays
const char* races_found();                                     // afterwards
void races_ignore(const void* first, size_t size);             // no shared memory
// code: where the kernel asked for it
void races_atomic(const void* at, size_t size, void* code);
void races_fetch(const void* to, const void* from, size_t size, bool there, void* code);
void races_fetched(const void* to, size_t size, void* code);   // its thread has waited for it
}
