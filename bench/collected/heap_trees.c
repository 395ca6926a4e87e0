/* Trees of a collected heap: a tree is a root, a node is held by the stack while its children are
 * made, and nobody frees. The heap is entered once; between trees the collector may come in. */
#include <stdlib.h>

#include "binary_trees.h"
#include "trimalloc/heap.h"

enum { kMostHeld = 64 };

struct node {
  trimalloc_ref left;
  trimalloc_ref right;
};

static trimalloc_access inside;
static trimalloc_type node_type;
static trimalloc_stack* held;

void trees_start(void) {
  trimalloc_heap* heap = trimalloc_heap_create(NULL);
  const uint32_t references[] = {offsetof(struct node, left), offsetof(struct node, right)};
  if (heap != NULL) node_type = trimalloc_type_create(heap, sizeof(struct node), references, 2);
  if (node_type == 0) abort();
  trimalloc_enter(heap, &inside);
  held = trimalloc_stack_create(&inside, kMostHeld);
  if (held == NULL) abort();
}

static struct node* node_at(trimalloc_ref record) { return trimalloc_at(&inside, record); }

static trimalloc_ref make(int depth) {
  const trimalloc_ref top = trimalloc_new(&inside, node_type);
  if (top == 0) abort();
  if (depth == 0) return top;
  struct node* node = node_at(top);
  trimalloc_push(&inside, held, top);
  trimalloc_store(&inside, &node->left, make(depth - 1));
  trimalloc_store(&inside, &node->right, make(depth - 1));
  trimalloc_pop(&inside, held, 1);
  return top;
}

static long count(trimalloc_ref top) {
  const struct node* node = node_at(top);
  const trimalloc_ref left = trimalloc_load(&node->left);
  return left == 0 ? 1 : 1 + count(left) + count(trimalloc_load(&node->right));
}

tree tree_make(int depth) {
  const trimalloc_root root = trimalloc_root_add(&inside, make(depth));
  if (root == TRIMALLOC_NO_ROOT) abort();
  return root;
}

long tree_count(tree top) { return count(trimalloc_root_get(&inside, (trimalloc_root)top)); }

void tree_drop(tree top) {
  trimalloc_root_remove(&inside, (trimalloc_root)top);
  trimalloc_poll(&inside);
}
