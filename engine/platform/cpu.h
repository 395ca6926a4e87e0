// Processors and time, for the parts that share work out among threads.
#pragma once

#include <cstdint>

namespace tri::platform {

// CPUs that this process may run on, at least 1.
uint32_t usable_cpus();

// Nanoseconds of a clock that does not jump; its zero is arbitrary.
uint64_t now_ns();

// A number that stays the same for a thread and differs among those that run at once: where it
// begins to look for something that each thread should find in a place of its own.
inline constexpr unsigned kHashShift = 40;
inline uint32_t thread_hash() {
  const auto pointer = reinterpret_cast<uintptr_t>(__builtin_thread_pointer());
  return static_cast<uint32_t>((pointer >> 6) * 0x9E3779B97F4A7C15u >> kHashShift);
}

// The same, less than `places`: by its upper bits, because a division is felt.
inline uint32_t thread_place(uint32_t places) {
  return static_cast<uint32_t>(uint64_t{thread_hash()} * places >> (64 - kHashShift));
}

}  // namespace tri::platform
