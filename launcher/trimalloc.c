/* The `trimalloc` command: a shortcut past a Python that would only start another.
 *
 * `trimalloc run PROGRAM` without options, in an environment that says nothing about allocators, is
 * done here: LD_PRELOAD is set, and the Python of this installation takes this process over. That
 * costs half a millisecond; a console script of pip's costs a whole start of Python, eight.
 * Everything else goes to trimalloc.cli.main, which is the home of all rules: this file knows only
 * their plainest case, and tests/python/cli/test_launcher.py holds it to them.
 *
 * Where things are follows from where this file is: PREFIX/bin/trimalloc beside PREFIX/bin/python,
 * and PREFIX/lib/pythonX.Y/site-packages/trimalloc. Where that does not hold (pip install --user or
 * -e, Debian's dist-packages) the Python on PATH finds the package. */
#define _GNU_SOURCE /* asprintf */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { failed = 125 }; /* as env(1) and `trimalloc run`: the tool itself could not */

/* Without the working directory on the path, where `-c` would put it: a folder with a json.py of
 * its own must not change what `trimalloc` does. */
static char kMain[] =
    "import sys\n"
    "if sys.path[:1] == ['']: del sys.path[0]\n"
    "from trimalloc.cli.main import main\n"
    "sys.exit(main())";

/* `format` with two strings filled in; NULL when something is missing. */
static char* joined(const char* format, const char* first, const char* second) {
  char* text = NULL;
  if (first == NULL || asprintf(&text, format, first, second) < 0) return NULL;
  return text;
}

/* The directory of this file, links followed, so that a link to it may lie anywhere. */
static char* own_directory(void) {
  char* path = realpath("/proc/self/exe", NULL);
  char* end = path == NULL ? NULL : strrchr(path, '/');
  if (end == NULL) return NULL;
  *end = '\0';
  return path;
}

static char* python_beside(const char* directory) {
  static const char* const names[] = {"python" PYTHON_VERSION, "python3", "python"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    char* path = joined("%s/%s", directory, names[i]);
    if (path != NULL && access(path, X_OK) == 0) return path;
  }
  return NULL;
}

/* The library to preload; NULL where LD_PRELOAD cannot name it, or it is not where it usually is.
 */
static char* library_under(const char* directory) {
  char* unresolved = joined("%s/../lib/python%s/site-packages/trimalloc/lib/libtrimalloc.so",
                            directory, PYTHON_VERSION);
  char* path = unresolved == NULL ? NULL : realpath(unresolved, NULL);
  return path == NULL || strpbrk(path, " :\n") != NULL ? NULL : path;
}

static int is_set(const char* variable) {
  const char* value = getenv(variable);
  return value != NULL && *value != '\0';
}

/* Whether `words`, those after `run`, name a program and nothing more has to be known. */
static int is_plain(char** words) {
  if (PYTHON_IS_FREE_THREADED || is_set("PYTHONMALLOC") || is_set("LD_PRELOAD")) return 0;
  if (is_set("TRIMALLOC_CACHES")) return 0; /* there are two libraries */
  if (words[0] == NULL) return 0;
  if (strcmp(words[0], "-c") == 0 || strcmp(words[0], "-m") == 0) return words[1] != NULL;
  return words[0][0] != '-' && access(words[0], F_OK) == 0;
}

/* Becomes `python` with `leading` words and the `rest`; returns when that failed. */
static void become(const char* python, char** leading, char** rest, size_t count) {
  char** words = calloc(count + 4, sizeof *words);
  if (words == NULL) return;
  size_t n = 0;
  words[n++] = (char*)python;
  while (*leading != NULL) words[n++] = *leading++;
  memcpy(words + n, rest, count * sizeof *words);
  if (strchr(python, '/') != NULL) {
    execv(python, words);
  } else {
    execvp(python, words);
  }
}

int main(int count, char** words) {
  char* nothing[] = {NULL};
  char* command[] = {(char*)"-c", kMain, NULL};
  char* directory = own_directory();
  char* python = python_beside(directory);
  if (count > 2 && strcmp(words[1], "run") == 0 && python != NULL && is_plain(words + 2)) {
    char* library = library_under(directory);
    if (library != NULL && setenv("LD_PRELOAD", library, 1) == 0) {
      become(python, nothing, words + 2, (size_t)count - 2);
      unsetenv("LD_PRELOAD");
    }
  }
  const size_t rest = count > 1 ? (size_t)count - 1 : 0;
  if (python == NULL) python = (char*)"python" PYTHON_VERSION;
  become(python, command, words + 1, rest);
  fprintf(stderr, "trimalloc: %s: %s; install trimalloc again, in the environment of its Python\n",
          python, strerror(errno));
  return failed;
}
