/* A program made of named cases, each run in a process of its own: `program NAME`.
 *
 *     CASE(zero_bytes_give_a_block) { CHECK(malloc(0) != NULL); }
 *
 * Nothing here allocates before the case does, so that a case owns the very first malloc of main.
 */
#ifndef SUPPORT_CASES_H
#define SUPPORT_CASES_H

#include "check.h"

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
