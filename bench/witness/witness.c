/* Runs a program that knows nothing of benchmarks, and says what the kernel knows of it at its end.
 *
 *   witness INPUT OUTPUT PROGRAM [ARGUMENT]...
 *
 * The program reads INPUT and writes OUTPUT (stderr, too). The line that is printed afterwards has
 * the form of bench/micro's: processor time of the program and all its children, time by the clock,
 * page faults, the highest resident memory of any one of its processes, and, of that process, the
 * executable and the files that were mapped.
 *
 * Memory has to be read while it is still there. The kernel's account of a child that has ended
 * (ru_maxrss) includes what the parent had before exec, and a preloaded reader would be part of
 * what it reads. So the program is traced, and stops for nothing but the end of a process, where
 * /proc still shows it whole, and for forks, so that children are traced as well. Threads are not
 * traced, no system call stops: until its end the program runs as it would alone. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { kMapsMax = 1 << 20, kCannotRun = 127 };

/* The process with the highest peak of those that have ended. */
static struct {
  long peak_kib;
  char executable[PATH_MAX];
  char maps[kMapsMax];
} largest = {.peak_kib = -1};

static int process_count;

static _Noreturn void give_up(const char* what) {
  fprintf(stderr, "witness: %s: %s\n", what, strerror(errno));
  exit(2);
}

static double now_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double seconds(struct timeval time) {
  return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

/* The text of /proc/PID/NAME, as much as there is room for. */
static void read_of_process(pid_t pid, const char* name, char* text, size_t room) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
  size_t length = 0;
  int file = open(path, O_RDONLY | O_CLOEXEC);
  for (ssize_t got = 1; file >= 0 && got > 0; length += got > 0 ? (size_t)got : 0) {
    got = read(file, text + length, room - 1 - length);
  }
  text[length] = '\0';
  if (file >= 0) close(file);
}

static void look_at_ending_process(pid_t pid) {
  char status[4096];
  read_of_process(pid, "status", status, sizeof status);
  const char* peak = strstr(status, "VmHWM:");
  process_count++;
  if (peak == NULL) return; /* its memory is gone already: a leader that ended before its threads */
  long peak_kib = strtol(peak + strlen("VmHWM:"), NULL, 10);
  if (peak_kib <= largest.peak_kib) return;
  largest.peak_kib = peak_kib;
  read_of_process(pid, "maps", largest.maps, sizeof largest.maps);
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/exe", pid);
  ssize_t length = readlink(path, largest.executable, sizeof largest.executable - 1);
  largest.executable[length > 0 ? length : 0] = '\0';
}

/* The child's side: waits until it is traced, then becomes the program. */
static _Noreturn void become(char** argv, int start) {
  char go;
  if (read(start, &go, 1) != 1) _exit(kCannotRun);
  int input = open(argv[1], O_RDONLY);
  int output = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC, 0666);
  if (input < 0 || output < 0) {
    fprintf(stderr, "witness: %s: %s\n", input < 0 ? argv[1] : argv[2], strerror(errno));
    _exit(kCannotRun);
  }
  int said = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
  dup2(input, STDIN_FILENO);
  dup2(output, STDOUT_FILENO);
  dup2(output, STDERR_FILENO);
  execvp(argv[3], argv + 3);
  dprintf(said, "witness: %s: %s\n", argv[3], strerror(errno));
  _exit(kCannotRun);
}

/* Lets a stopped process go on; what it stopped for was looked at. */
static void go_on(pid_t pid, int status) {
  int event = status >> 16;
  int signal = WSTOPSIG(status);
  if (event == PTRACE_EVENT_STOP && signal != SIGTRAP) {
    ptrace(PTRACE_LISTEN, pid, NULL, NULL); /* stopped by a signal, as without a tracer */
  } else {
    ptrace(PTRACE_CONT, pid, NULL, (void*)(long)(event == 0 ? signal : 0));
  }
}

/* Until the program's first process has ended; returns how it did. */
static int watch(pid_t first, struct rusage* used) {
  for (;;) {
    int status;
    pid_t pid = wait4(-1, &status, __WALL, used);
    if (pid < 0 && errno != EINTR) give_up("wait");
    if (pid < 0) continue;
    if (WIFSTOPPED(status)) {
      if (status >> 16 == PTRACE_EVENT_EXIT) look_at_ending_process(pid);
      go_on(pid, status);
    } else if (pid == first) {
      return status;
    }
  }
}

/* Each file of the largest process's maps, once: mappings of a file follow one another. */
static void print_mapped_files(void) {
  const char* last = "";
  const char* separator = "";
  for (char* line = strtok(largest.maps, "\n"); line != NULL; line = strtok(NULL, "\n")) {
    const char* path = strchr(line, '/');
    if (path == NULL || strcmp(path, last) == 0) continue;
    printf("%s\"%s\"", separator, path);
    separator = ", ";
    last = path;
  }
}

int main(int argc, char** argv) {
  if (argc < 4) {
    fprintf(stderr, "usage: witness INPUT OUTPUT PROGRAM [ARGUMENT]...\n");
    return 2;
  }
  int start[2];
  if (pipe2(start, O_CLOEXEC) != 0) give_up("pipe");
  pid_t first = fork();
  if (first < 0) give_up("fork");
  if (first == 0) become(argv, start[0]);
  long options = PTRACE_O_EXITKILL | PTRACE_O_TRACEEXIT | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK;
  if (ptrace(PTRACE_SEIZE, first, NULL, (void*)options) != 0)
    give_up("tracing is not allowed here");
  double began = now_seconds();
  if (write(start[1], "", 1) != 1) give_up("pipe");
  struct rusage used;
  int status = watch(first, &used);
  double wall = now_seconds() - began;
  printf("{\"metrics\": {\"cpu_s\": %.6f, \"wall_s\": %.6f, \"minor_faults\": %ld, ",
         seconds(used.ru_utime) + seconds(used.ru_stime), wall, used.ru_minflt);
  printf("\"peak_kib\": %ld, \"processes\": %d}, ", largest.peak_kib, process_count);
  printf("\"status\": %d, \"executable\": \"%s\", ",
         WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status), largest.executable);
  printf("\"proof\": {\"mapped\": [");
  print_mapped_files();
  printf("]}}\n");
  return 0;
}
