/* malloc in an IFUNC resolver, which runs while the program itself is still being relocated. */
#include <malloc.h>
#include <stdlib.h>

#include "check.h"

static char* from_resolver;

static int answer(void) { return 42; }

static int (*resolve(void))(void) {
  from_resolver = malloc(100);
  if (from_resolver) from_resolver[99] = 5;
  return answer;
}

int answer_by_resolver(void) __attribute__((ifunc("resolve")));

int main(void) {
  CHECK(answer_by_resolver() == 42 && from_resolver && from_resolver[99] == 5);
  CHECK(malloc_usable_size(from_resolver) >= 100);
  free(from_resolver);
  return 0;
}
