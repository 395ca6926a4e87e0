/* binary-trees, as the Benchmarks Game has it: one large tree made and dropped, one that stays, and
 * beside it very many small ones. `binary_trees DEPTH`. How trees are made is the other file's. */
#include "binary_trees.h"

#include <stdio.h>
#include <stdlib.h>

enum { kLeastDepth = 4, kMostDepth = 30 };

static long make_and_drop(int depth) {
  tree top = tree_make(depth);
  const long nodes = tree_count(top);
  tree_drop(top);
  return nodes;
}

int main(int argc, char** argv) {
  const int depth = argc == 2 ? atoi(argv[1]) : 0;
  if (depth < kLeastDepth || depth > kMostDepth) {
    fprintf(stderr, "binary_trees: give a depth from %d to %d\n", kLeastDepth, kMostDepth);
    return 2;
  }
  trees_start();
  printf("stretch tree of depth %d\t check: %ld\n", depth + 1, make_and_drop(depth + 1));
  tree stays = tree_make(depth);
  for (int d = kLeastDepth; d <= depth; d += 2) {
    const long trees = 1L << (depth - d + kLeastDepth);
    long nodes = 0;
    for (long i = 0; i < trees; ++i) nodes += make_and_drop(d);
    printf("%ld\t trees of depth %d\t check: %ld\n", trees, d, nodes);
  }
  printf("long lived tree of depth %d\t check: %ld\n", depth, tree_count(stays));
  return 0;
}
