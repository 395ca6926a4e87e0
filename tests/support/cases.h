/* A program made of named cases, each run in a process of its own: `program NAME`.
 *
 *     CASE(zero_bytes_give_a_block) { CHECK(malloc(0) != NULL); }
 *
 * A failed CHECK ends the program with status 1 and one line that says where and what. Nothing
 * here allocates before the case does, so that a case owns the very first malloc of main. */
#ifndef SUPPORT_CASES_H
#define SUPPORT_CASES_H

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct test_case {
  const char* name;
  void (*run)(void);
  struct test_case* next;
};

static struct test_case* all_cases;

#define CASE(case_name)                                                 \
  static void case_name(void);                                          \
  __attribute__((constructor)) static void register_##case_name(void) { \
    static struct test_case self = {#case_name, case_name, NULL};       \
    self.next = all_cases;                                              \
    all_cases = &self;                                                  \
  }                                                                     \
  static void case_name(void)

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

int main(int argc, char** argv) {
  const char* wanted = argc > 1 ? argv[1] : "";
  for (struct test_case* one = all_cases; one; one = one->next) {
    if (strcmp(one->name, wanted) == 0) {
      one->run();
      return 0;
    }
  }
  dprintf(2, "no case named '%s'\n", wanted);
  return 2;
}

#endif
