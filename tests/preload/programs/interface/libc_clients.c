/* Functions of libc that allocate for their callers, who then free. */
#include <dirent.h>
#include <libgen.h>
#include <locale.h>
#include <malloc.h>
#include <netdb.h>
#include <regex.h>
#include <search.h>
#include <stdlib.h>
#include <time.h>
#include <wchar.h>

#include "cases.h"

CASE(strdup_and_strndup) {
  char *p = strdup("some text"), *q = strndup("some text", 4);
  wchar_t* w = wcsdup(L"wide");
  CHECK(strcmp(p, "some text") == 0 && strcmp(q, "some") == 0 && wcscmp(w, L"wide") == 0);
  CHECK(malloc_usable_size(p) >= 10);
  free(p), free(q), free(w);
}

CASE(asprintf_of_long_text) {
  char* text = NULL;
  CHECK(asprintf(&text, "%0*d", 200000, 7) == 200000);
  CHECK(strlen(text) == 200000 && text[199999] == '7');
  free(text);
}

CASE(getline_and_getdelim_grow_a_block_of_ours) {
  FILE* file = tmpfile();
  for (int i = 0; i < 50000; i++) fputs("word ", file);
  fputs("\nlast\n", file);
  rewind(file);
  size_t size = 4;
  char* line = malloc(size);
  CHECK(getline(&line, &size, file) == 250001);
  CHECK(size >= 250002 && malloc_usable_size(line) >= size);
  CHECK(getdelim(&line, &size, 's', file) == 3);
  free(line);
  fclose(file);
}

CASE(open_memstream_hands_over_its_buffer) {
  char* text = NULL;
  size_t size = 0;
  FILE* stream = open_memstream(&text, &size);
  for (int i = 0; i < 100000; i++) fprintf(stream, "%d,", i);
  fclose(stream);
  CHECK(size == strlen(text) && malloc_usable_size(text) > size);
  free(text);
}

CASE(fopen_and_a_buffer_of_ours) {
  FILE* file = fopen("/proc/self/status", "r");
  char* buffer = malloc(1 << 16);
  setvbuf(file, buffer, _IOFBF, 1 << 16);
  char line[256];
  int lines = 0;
  while (fgets(line, sizeof line, file)) lines++;
  CHECK(lines > 10);
  fclose(file);
  free(buffer);
}

CASE(realpath_getcwd_and_directories) {
  char *path = realpath("/proc/self/../self/fd/..", NULL), *here = getcwd(NULL, 0);
  CHECK(path && here);
  free(path), free(here);
  struct dirent** entries = NULL;
  int count = scandir("/proc/self/fd", &entries, NULL, alphasort);
  CHECK(count >= 3);
  for (int i = 0; i < count; i++) free(entries[i]);
  free(entries);
}

CASE(environment_and_locale) {
  char name[32];
  for (int i = 0; i < 500; i++) {
    snprintf(name, sizeof name, "NAME_%d", i);
    CHECK(setenv(name, "value", 1) == 0);
  }
  for (int i = 0; i < 500; i++) {
    snprintf(name, sizeof name, "NAME_%d", i);
    CHECK(unsetenv(name) == 0);
  }
  CHECK(putenv(strdup("ADDED=1")) == 0 && strcmp(getenv("ADDED"), "1") == 0);
  for (int i = 0; i < 50; i++) CHECK(setlocale(LC_ALL, i % 2 ? "C" : "C.UTF-8") != NULL);
  locale_t other = newlocale(LC_ALL_MASK, "C.UTF-8", (locale_t)0);
  CHECK(other != (locale_t)0);
  freelocale(other);
  clearenv();
}

static int compare_ints(const void* a, const void* b) { return *(const int*)a - *(const int*)b; }

CASE(qsort_with_a_temporary_block) {
  int* numbers = malloc(1000000 * sizeof *numbers);
  for (int i = 0; i < 1000000; i++) numbers[i] = (int)((unsigned)i * 2654435761u >> 4);
  qsort(numbers, 1000000, sizeof *numbers, compare_ints);
  for (int i = 1; i < 1000000; i++) CHECK(numbers[i - 1] <= numbers[i]);
  free(numbers);
}

static void keep(void* key) { (void)key; }

CASE(regular_expressions_trees_and_addresses) {
  regex_t expression;
  for (int i = 0; i < 50; i++) {
    CHECK(regcomp(&expression, "^(a|b)*[0-9]{3,7}(x+|y?)$", REG_EXTENDED) == 0);
    CHECK(regexec(&expression, "abab12345xx", 0, NULL, 0) == 0);
    regfree(&expression);
  }
  static int keys[2000];
  void* root = NULL;
  for (int i = 0; i < 2000; i++) {
    keys[i] = i * 7919 % 2000;
    CHECK(tsearch(&keys[i], &root, compare_ints) != NULL);
  }
  tdestroy(root, keep);
  struct addrinfo *found = NULL, hints = {.ai_flags = AI_NUMERICHOST};
  CHECK(getaddrinfo("127.0.0.1", "80", &hints, &found) == 0);
  freeaddrinfo(found);
}
