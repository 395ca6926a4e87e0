/* Trees of malloc and free. */
#include <stdlib.h>

#include "binary_trees.h"

struct node {
  struct node* left;
  struct node* right;
};

void trees_start(void) {}

static struct node* make(int depth) {
  struct node* top = malloc(sizeof *top);
  if (top == NULL) abort();
  top->left = depth == 0 ? NULL : make(depth - 1);
  top->right = depth == 0 ? NULL : make(depth - 1);
  return top;
}

static long count(const struct node* top) {
  return top->left == NULL ? 1 : 1 + count(top->left) + count(top->right);
}

static void drop(struct node* top) {
  if (top->left != NULL) {
    drop(top->left);
    drop(top->right);
  }
  free(top);
}

tree tree_make(int depth) { return (tree)make(depth); }
long tree_count(tree top) { return count((const struct node*)top); }
void tree_drop(tree top) { drop((struct node*)top); }
