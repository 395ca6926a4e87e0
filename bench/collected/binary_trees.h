/* What binary_trees.c needs of who makes trees: one call for a tree, none for a node. */
#ifndef BENCH_COLLECTED_BINARY_TREES_H
#define BENCH_COLLECTED_BINARY_TREES_H

#include <stdint.h>

typedef uintptr_t tree;

void trees_start(void);
tree tree_make(int depth);
long tree_count(tree top);
void tree_drop(tree top);

#endif
