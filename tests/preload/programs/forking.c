/* fork, vfork, posix_spawn and exec, while other threads are inside malloc. */
#include <malloc.h>
#include <signal.h>
#include <spawn.h>

#include <sys/time.h>

#include "cases.h"
#include "children.h"
#include "churn.h"
#include "engine.h"
#include "residency.h"

enum { table_blocks = 2000, rounds = 300 };

static char* table[table_blocks];

static size_t table_size(int i) { return (size_t)(i % 50) * 37 + (i % 100 == 0 ? 300000 : 1); }

static void fill_table(void) {
  for (int i = 0; i < table_blocks; i++) {
    table[i] = OPAQUE(malloc(table_size(i)));
    CHECK(table[i] != NULL);
    memset(table[i], i, table_size(i));
  }
}

static void check_and_free_table(void) {
  for (int i = 0; i < table_blocks; i++) {
    CHECK_SIZE(table[i][0] == (char)i && table[i][table_size(i) - 1] == (char)i, table_size(i));
    free(table[i]);
  }
}

static void use_malloc(void) {
  void* held[200];
  for (unsigned i = 0; i < 200; i++) {
    held[i] = OPAQUE(malloc(churn_size(i)));
    CHECK(held[i] != NULL);
    memset(held[i], 1, churn_size(i));
  }
  for (int i = 0; i < 200; i++) free(held[i]);
}

static void* use_malloc_in_thread(void* unused) {
  use_malloc();
  return unused;
}

static void use_malloc_in_a_new_thread(void) {
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, use_malloc_in_thread, NULL) == 0);
  pthread_join(thread, NULL);
}

CASE(the_child_can_allocate_at_once) {
  start_churn(4);
  for (int i = 0; i < rounds; i++) {
    pid_t child;
    IN_CHILD(child, use_malloc());
    expect_success_of(child);
  }
  stop_churn();
  verify_engine();
}

CASE(the_child_can_do_everything) {
  start_churn(3);
  for (int i = 0; i < rounds / 10; i++) {
    fill_table();
    pid_t child;
    IN_CHILD(child, {
      check_and_free_table();
      use_malloc_in_a_new_thread();
      malloc_trim(0);
      use_malloc();
      verify_engine();
    });
    expect_success_of(child);
    check_and_free_table();
  }
  stop_churn();
}

CASE(the_child_may_leave_by_exit) {
  start_churn(2);
  for (int i = 0; i < rounds / 10; i++) {
    pid_t child;
    IN_CHILD(child, {
      use_malloc();
      exit(0);
    });
    expect_success_of(child);
  }
  stop_churn();
}

static void* fork_often(void* unused) {
  for (int i = 0; i < rounds / 5; i++) {
    pid_t child;
    IN_CHILD(child, use_malloc());
    expect_success_of(child);
    use_malloc();
  }
  return unused;
}

CASE(every_thread_forks) {
  pthread_t threads[4];
  start_churn(1);
  for (int i = 0; i < 4; i++) CHECK(pthread_create(&threads[i], NULL, fork_often, NULL) == 0);
  for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
  stop_churn();
}

/* Each generation adds blocks, and the last one still knows those of the first. */
static void descend(int generations) {
  fill_table();
  if (generations > 0) {
    pid_t child;
    IN_CHILD(child, {
      check_and_free_table();
      use_malloc_in_a_new_thread();
      descend(generations - 1);
    });
    expect_success_of(child);
  }
  check_and_free_table();
}

CASE(generations_of_children) { descend(20); }

/* A forking server: the children live side by side, and all churn what they share. */
CASE(many_children_at_once) {
  enum { children = 40 };
  pid_t child[children];
  fill_table();
  for (int i = 0; i < children; i++) {
    IN_CHILD(child[i], {
      use_malloc();
      check_and_free_table();
    });
  }
  for (int i = 0; i < children; i++) expect_success_of(child[i]);
  check_and_free_table();
}

CASE(vfork_and_exec) {
  start_churn(3);
  for (int i = 0; i < rounds / 3; i++) {
    pid_t child = vfork();
    if (child == 0) {
      execl("/bin/true", "true", (char*)NULL);
      _exit(127);
    }
    expect_success_of(child);
    use_malloc();
  }
  stop_churn();
}

CASE(posix_spawn_of_programs) {
  extern char** environ;
  start_churn(3);
  for (int i = 0; i < rounds / 3; i++) {
    char* command[] = {(char*)"true", NULL};
    pid_t child;
    CHECK(posix_spawn(&child, "/bin/true", NULL, NULL, command, environ) == 0);
    expect_success_of(child);
    use_malloc();
  }
  stop_churn();
}

CASE(fork_and_exec) {
  start_churn(3);
  for (int i = 0; i < rounds / 3; i++) {
    pid_t child;
    IN_CHILD(child, {
      use_malloc();
      execl("/bin/true", "true", (char*)NULL);
      _exit(127);
    });
    expect_success_of(child);
  }
  stop_churn();
}

CASE(popen_and_system) {
  start_churn(2);
  for (int i = 0; i < 20; i++) {
    char word[16];
    FILE* pipe = popen("echo word", "r");
    CHECK(pipe != NULL && fgets(word, sizeof word, pipe) && strcmp(word, "word\n") == 0);
    CHECK(pclose(pipe) == 0 && system("true") == 0);
  }
  stop_churn();
}

/* exec from a process whose other threads are inside malloc; the next image is this case's end. */
CASE(exec_under_running_threads) {
  start_churn(4);
  usleep(20000);
  execl("/proc/self/exe", "program", "lands_here", (char*)NULL);
  CHECK(0);
}

CASE(lands_here) { use_malloc(); }

static void* kept_by_prepare;

static void allocate_in_prepare(void) { kept_by_prepare = OPAQUE(malloc(5000)); }

static void free_after_fork(void) {
  use_malloc();
  free(kept_by_prepare);
}

CASE(fork_handlers_may_allocate) {
  pthread_atfork(allocate_in_prepare, free_after_fork, free_after_fork);
  start_churn(2);
  for (int i = 0; i < rounds / 5; i++) {
    pid_t child;
    IN_CHILD(child, use_malloc());
    expect_success_of(child);
  }
  stop_churn();
}

static volatile sig_atomic_t ticks;

static void count_tick(int unused) {
  (void)unused;
  ticks++;
}

/* Signals interrupt malloc and fork anywhere; the handler itself does not allocate. */
CASE(signals_everywhere) {
  struct sigaction action = {.sa_handler = count_tick};
  sigaction(SIGALRM, &action, NULL);
  struct itimerval every_ms = {{0, 500}, {0, 500}};
  setitimer(ITIMER_REAL, &every_ms, NULL);
  start_churn(2);
  for (int i = 0; i < rounds / 5; i++) {
    use_malloc();
    pid_t child = fork();
    if (child == 0) {
      use_malloc();
      _exit(0);
    }
    expect_success_of(child);
  }
  stop_churn();
  CHECK(ticks > 0);
}

enum { background_bytes = 64 << 20 };

/* Frees enough for the background thread to start, and leaves it at work or asleep. */
static void start_the_background_thread(void) {
  char* block = OPAQUE(malloc(background_bytes));
  memset(block, 1, background_bytes);
  free(block);
  use_malloc();
}

static void* fork_and_return_in_the_child(void* child) {
  pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    alarm(child_seconds);
    sleep_ms(100); /* past the time in which the background thread stays away after a fork */
    start_the_background_thread();
  }
  *(pid_t*)child = pid;
  return NULL;
}

/* In the child this thread is the only one: when it returns, the process ends. Ours must not be the
   one that keeps it alive. (CPython's test_threading forks in a thread like this.) */
CASE(a_child_of_a_thread_ends_with_that_thread) {
  for (int i = 0; i < 3; i++) {
    pthread_t thread;
    pid_t child = 0;
    start_the_background_thread();
    CHECK(pthread_create(&thread, NULL, fork_and_return_in_the_child, &child) == 0);
    pthread_join(thread, NULL);
    expect_success_of(child);
  }
}

CASE(a_process_ends_with_its_last_thread) {
  pid_t child;
  IN_CHILD(child, {
    sleep_ms(100);
    start_the_background_thread();
    pthread_exit(NULL);
  });
  expect_success_of(child);
}
