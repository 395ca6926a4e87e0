/* Misuses, each in a process of its own.
 *
 *     MISUSE(double_free_of_a_small_block, "double free") { ... AT_CALL(free(p)); }
 *
 * promises that the program stops with that phrase in its message: at the wrong call under
 * TRIMALLOC_CHECK=1, and otherwise at the latest when the block reaches the central cache, where
 * the wrapper pushes it after the body. MISUSE_AT_CALL promises the first in every mode. The phrase
 * is a regular expression, without quotes. */
#ifndef CRASH_MISUSE_H
#define CRASH_MISUSE_H

#include <malloc.h>
#include <stdlib.h>

#include "cases.h"

static inline void say(const char* text) {
  if (write(1, text, strlen(text)) < 0) _exit(3);
}

/* Marks the wrong call: what stops at the call has said "calling" and not "returned". */
#define AT_CALL(call)  \
  do {                 \
    say("calling\n");  \
    (void)(call);      \
    say("returned\n"); \
  } while (0)

/* For functions that return nothing. */
#define AT_VOID_CALL(call) AT_CALL(((call), 0))

#define MISUSE(case_name, phrase)     \
  static void case_name##_body(void); \
  CASE(case_name) {                   \
    case_name##_body();               \
    malloc_trim(0);                   \
    say("survived\n");                \
  }                                   \
  static void case_name##_body(void)

#define MISUSE_AT_CALL(case_name, phrase) MISUSE(case_name, phrase)

#endif
