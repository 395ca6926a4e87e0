/* The background thread is one that libc does not know of. */
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/single_threaded.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cases.h"
#include "children.h"
#include "engine.h"
#include "own_threads.h"
#include "residency.h"

static const double patience_s = 4;
static const size_t burst = 100u << 20, slack = 6u << 20;

/* Frees much at once, so that the thread has something to do. */
static void set_to_work(void) {
  char* block = OPAQUE(malloc(burst));
  for (size_t at = 0; at < burst; at += 4096) block[at] = 1;
  free(block);
  for (int i = 0; i < 100; i++) free(OPAQUE(malloc(100000))); /* slow paths notice it */
}

static void start_thread(void) {
  for (double end = seconds_now() + patience_s; thread_count() != 2; sleep_ms(10)) {
    CHECK(seconds_now() < end);
    set_to_work();
  }
}

CASE(libc_sees_one_thread) {
  size_t before = resident_bytes();
  start_thread();
  CHECK(__libc_single_threaded);
  CHECK(resident_falls_to(before + slack, patience_s));
  CHECK(thread_count() == 2);
  CHECK(__libc_single_threaded);
}

/* --- who the process is ---------------------------------------------------------------------- */

typedef struct {
  const char* line; /* "\nUid:" */
  char first[200];
  int count;
} same;

static void expect_the_same(const char* status, void* context) {
  same* s = context;
  const char* line = strstr(status, s->line);
  CHECK(line != NULL);
  size_t length = strcspn(line + 1, "\n") + 1;
  CHECK(length < sizeof s->first);
  if (s->count++ == 0) {
    memcpy(s->first, line, length);
    s->first[length] = 0;
  } else {
    CHECK(strncmp(s->first, line, length) == 0 && s->first[length] == 0);
  }
}

/* All threads have the user, the group and the groups of the first one. */
static void expect_one_identity(void) {
  static const char* const lines[] = {"\nUid:", "\nGid:", "\nGroups:"};
  for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
    same s = {.line = lines[i]};
    for_each_thread(expect_the_same, &s);
  }
}

static void change(int result) {
  CHECK(result == 0);
  expect_one_identity();
  start_thread();
  expect_one_identity();
}

/* The last ones give up what the first ones need. */
CASE(a_dropped_privilege_is_dropped_by_all) {
  enum { nobody = 65534 };
  if (geteuid() != 0) return;
  gid_t groups[] = {nobody, nobody - 1};
  start_thread();
  change(setgroups(2, groups));
  change(initgroups("root", 0));
  change(setegid(nobody));
  change(setgid(nobody));
  change(setregid(nobody - 1, nobody));
  change(setresgid(nobody, nobody, nobody));
  change(seteuid(nobody));
  change(seteuid(0));
  change(setreuid(0, 0));
  change(setresuid(nobody, nobody, 0));
  change(seteuid(0));
  change(setuid(nobody));
  CHECK(setuid(0) == -1 && errno == EPERM);
}

CASE(anybody_may_become_who_he_is) {
  start_thread();
  change(setuid(getuid()));
  change(setresgid(getgid(), getegid(), getgid()));
}

/* What the kernel allows a process of one thread. */
CASE(a_program_of_one_thread_enters_a_user_namespace) {
  start_thread();
  pid_t child;
  int status;
  IN_CHILD(child, _exit(syscall(SYS_unshare, CLONE_NEWUSER) == 0 ? 0 : 1));
  CHECK(waitpid(child, &status, 0) == child);
  if (status != 0) return; /* there are none here */
  IN_CHILD(child, {
    start_thread();
    CHECK(unshare(CLONE_NEWUSER) == 0);
    start_thread();
  });
  expect_success_of(child);
}

/* --- processes that share or copy the thread's memory ---------------------------------------- */

CASE(a_child_that_shares_memory_leaves_the_thread_alone) {
  size_t before = resident_bytes();
  start_thread();
  pid_t child = vfork();
  if (child == 0) _exit(setuid(getuid()) == 0 && thread_count() == 1 ? 0 : 1);
  expect_success_of(child);
  CHECK(thread_count() == 2);
  set_to_work();
  CHECK(resident_falls_to(before + slack, patience_s));
}

/* One that the handlers of fork know nothing of finds a state that says there is a thread. */
CASE(a_child_of_the_bare_system_call_allocates) {
  start_thread();
  pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
  if (child == 0) {
    alarm(child_seconds);
    for (int i = 0; i < 1000; i++) free(OPAQUE(malloc(100000)));
    CHECK(setuid(getuid()) == 0);
    _exit(0);
  }
  expect_success_of(child);
}

CASE(a_childs_thread_is_its_own) {
  start_thread();
  for (int generation = 0; generation < 5; generation++) {
    pid_t child;
    IN_CHILD(child, {
      CHECK(thread_count() == 1);
      start_thread();
      change(setuid(getuid()));
    });
    expect_success_of(child);
    start_thread();
  }
}
