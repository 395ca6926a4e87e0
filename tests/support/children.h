/* Child processes that must end well. */
#ifndef SUPPORT_CHILDREN_H
#define SUPPORT_CHILDREN_H

#include <sys/wait.h>

#include "check.h"

/* A child that deadlocks kills itself after this long; the parent then sees the signal. */
enum { child_seconds = 20 };

/* Runs `body` in a child, which gives its own status by ending well or in a CHECK. */
#define IN_CHILD(pid, body) \
  do {                      \
    (pid) = fork();         \
    CHECK((pid) >= 0);      \
    if ((pid) == 0) {       \
      alarm(child_seconds); \
      body;                 \
      _exit(0);             \
    }                       \
  } while (0)

static inline void expect_success_of(pid_t child) {
  int status = -1;
  while (waitpid(child, &status, 0) < 0) CHECK(errno == EINTR);
  if (WIFSIGNALED(status)) dprintf(2, "a child was ended by signal %d\n", WTERMSIG(status));
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

#endif
