// How the engine stops. CHECK is always on and stands on slow paths only; ASSERT is for debug
// builds. Both end with one line on stderr and SIGABRT; nothing here allocates.
//
// Misuse by the program (a double free, a foreign pointer) has its own messages, in
// frontends/malloc/misuse.h: these two are for the engine's own invariants.
#pragma once

#include <cstdint>

namespace tri {

// Writes `line` and a newline to stderr in one write, then aborts.
[[noreturn]] void stop_with(const char* line);

[[noreturn]] void check_failed(const char* file, int line, const char* expression, uint64_t left,
                               uint64_t right);

}  // namespace tri

#define TRI_CHECK(expression)                                     \
  do {                                                            \
    if (__builtin_expect(!(expression), 0))                       \
      ::tri::check_failed(__FILE__, __LINE__, #expression, 0, 0); \
  } while (false)

// Prints both operands.
#define TRI_CHECK_EQ(left, right)                                                             \
  do {                                                                                        \
    const auto tri_left = (left);                                                             \
    const auto tri_right = (right);                                                           \
    if (__builtin_expect(!(tri_left == tri_right), 0))                                        \
      ::tri::check_failed(__FILE__, __LINE__, #left " == " #right,                            \
                          static_cast<uint64_t>(tri_left), static_cast<uint64_t>(tri_right)); \
  } while (false)

#ifdef TRIMALLOC_DEBUG
#define TRI_ASSERT(expression) TRI_CHECK(expression)
#else
#define TRI_ASSERT(expression) \
  do {                         \
    (void)sizeof(expression);  \
  } while (false)
#endif
