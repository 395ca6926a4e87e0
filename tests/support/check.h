/* Assertions for C and C++ programs: a failed one ends the program with status 1 and one line that
 * says where and what. They allocate nothing. */
#ifndef SUPPORT_CHECK_H
#define SUPPORT_CHECK_H

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CHECK(condition)                                                                       \
  do {                                                                                         \
    if (!(condition)) {                                                                        \
      dprintf(2, "%s:%d: %s is false (errno %d: %s)\n", __FILE__, __LINE__, #condition, errno, \
              strerror(errno));                                                                \
      _exit(1);                                                                                \
    }                                                                                          \
  } while (0)

/* The same with the size at hand, for loops over many sizes. */
#define CHECK_SIZE(condition, size)                                                             \
  do {                                                                                          \
    if (!(condition)) {                                                                         \
      dprintf(2, "%s:%d: %s is false at size %zu (errno %d)\n", __FILE__, __LINE__, #condition, \
              (size_t)(size), errno);                                                           \
      _exit(1);                                                                                 \
    }                                                                                           \
  } while (0)

/* Hides a value from the optimiser. In C the sum drops the const of its type. */
#ifdef __cplusplus
#define UNQUALIFIED(value) auto
#else
#define UNQUALIFIED(value) __typeof__((value) + 0)
#endif
#define OPAQUE(value)                     \
  ({                                      \
    UNQUALIFIED(value) opaque_ = (value); \
    __asm__ volatile("" : "+r"(opaque_)); \
    opaque_;                              \
  })

#endif
