/* Trees of Boehm's conservative collector, as a C program would have them: it finds the roots on
 * the stack by itself, and nobody frees. */
#include <gc.h>
#include <stdlib.h>

#include "binary_trees.h"

struct node {
  struct node* left;
  struct node* right;
};

void trees_start(void) { GC_INIT(); }

static struct node* make(int depth) {
  struct node* top = GC_MALLOC(sizeof *top);
  if (top == NULL) abort();
  if (depth == 0) return top;
  top->left = make(depth - 1);
  top->right = make(depth - 1);
  return top;
}

static long count(const struct node* top) {
  return top->left == NULL ? 1 : 1 + count(top->left) + count(top->right);
}

tree tree_make(int depth) { return (tree)make(depth); }
long tree_count(tree top) { return count((const struct node*)top); }
void tree_drop(tree top) { (void)top; }
