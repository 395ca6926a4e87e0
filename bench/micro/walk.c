/* Following a list in the order in which its nodes were made: what the addresses that an allocator
 * gives out are worth to the program afterwards. CPython's collector walks like this.
 *
 *   walk fresh NODES     the nodes are the first blocks of the process
 *   walk churned NODES   before, three times as many blocks of mixed sizes were made and freed in
 *                        random order, except one in 32, so that free memory is scattered
 *
 * Nodes have 64 bytes; the figure is per node of the walk, the making is a figure beside it. */
#include <stdlib.h>
#include <string.h>

#include "measure.h"

static const char kUsage[] = "walk fresh|churned NODES";

typedef struct node {
  struct node* next;
  long value;
  char rest[48];
} node;

static node* make_list(size_t count) {
  node* first = NULL;
  node** link = &first;
  for (size_t i = 0; i < count; i++) {
    node* made = measure_malloc(sizeof *made);
    made->value = (long)i;
    *link = made;
    link = &made->next;
  }
  *link = NULL;
  return first;
}

static void scatter(size_t count) {
  void** blocks = measure_malloc(count * sizeof *blocks);
  uint32_t* order = measure_malloc(count * sizeof *order);
  uint64_t random = 11;
  for (size_t i = 0; i < count; i++) {
    blocks[i] = measure_malloc(48 + 16 * (measure_random(&random) % 3));
    *(volatile char*)blocks[i] = 1;
  }
  measure_shuffle(order, count, 13);
  for (size_t i = 0; i < count; i++) {
    if (order[i] % 32 != 0) free(blocks[order[i]]);
  }
  free(order);
  free(blocks);
}

static void walk(void* context, long iterations) {
  for (long i = 0; i < iterations; i++) {
    long total = 0;
    for (const node* at = context; at != NULL; at = at->next) total += at->value;
    __asm__ volatile("" : : "r"(total)); /* the sum is wanted by nobody else */
  }
}

int main(int argc, char** argv) {
  if (argc != 3) measure_usage(kUsage);
  size_t count = (size_t)measure_argument(argc, argv, 2, kUsage);
  if (strcmp(argv[1], "churned") == 0) {
    scatter(3 * count);
  } else if (strcmp(argv[1], "fresh") != 0) {
    measure_usage(kUsage);
  }
  double start = measure_now_ns();
  node* list = make_list(count);
  measure_add("make_ns", (measure_now_ns() - start) / (double)count);
  measure_and_report(walk, list, (double)count);
  return 0;
}
