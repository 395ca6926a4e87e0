// Tail calls that are one conditional jump. Compilers jump to a jump instead, and a taken jump is
// what costs.
//
// Only for functions that have no frame when they come to it, or whoever they leave for returns
// into nowhere: at the very beginning of a function that keeps nothing on the stack.
// tests/engine/test_fast_path.py looks at the machine code. What they leave for has the first
// arguments of this function, or those that are named.
#pragma once

#if defined(__x86_64__)
// function(first), unless first < limit.
#define TRI_LEAVE_UNLESS_BELOW(first, limit, function) \
  asm volatile("cmpq %1, %0\n\tjae " function : : "D"(first), "m"(limit) : "cc")
// function(first, second), unless second < limit.
#define TRI_LEAVE_WITH_UNLESS_BELOW(first, second, limit, function) \
  asm volatile("cmpq %2, %1\n\tjae " function : : "D"(first), "S"(second), "m"(limit) : "cc")
#elif defined(__aarch64__)
#define TRI_LEAVE_UNLESS_BELOW(first, limit, function)                                  \
  do {                                                                                  \
    register auto tri_first asm("x0") = first;                                          \
    asm volatile("cmp %0, %1\n\tb.hs " function : : "r"(tri_first), "r"(limit) : "cc"); \
  } while (0)
#define TRI_LEAVE_WITH_UNLESS_BELOW(first, second, limit, function) \
  do {                                                              \
    register auto tri_first asm("x0") = first;                      \
    register auto tri_second asm("x1") = second;                    \
    asm volatile("cmp %1, %2\n\tb.hs " function                     \
                 :                                                  \
                 : "r"(tri_first), "r"(tri_second), "r"(limit)      \
                 : "cc");                                           \
  } while (0)
#endif
