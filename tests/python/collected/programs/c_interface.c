/* The collected heap through its C interface. */
#include "trimalloc/heap.h"

#include <errno.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cases.h"

struct node {
  trimalloc_ref left;
  trimalloc_ref right;
  int64_t value;
};

static const uint32_t node_references[] = {offsetof(struct node, left),
                                           offsetof(struct node, right)};

static trimalloc_heap* heap;
static trimalloc_type node_type;
static trimalloc_access inside;

static void start(const trimalloc_heap_options* options) {
  heap = trimalloc_heap_create(options);
  CHECK(heap != NULL);
  node_type = trimalloc_type_create(heap, sizeof(struct node), node_references, 2);
  CHECK(node_type != 0);
  trimalloc_enter(heap, &inside);
}

static void end(void) {
  trimalloc_leave(&inside);
  trimalloc_heap_verify(heap);
  trimalloc_heap_destroy(heap);
}

static struct node* at(trimalloc_ref record) { return trimalloc_at(&inside, record); }

static trimalloc_ref make(int64_t value) {
  trimalloc_ref record = trimalloc_new(&inside, node_type);
  CHECK(record != 0);
  CHECK(at(record)->left == 0 && at(record)->right == 0 && at(record)->value == 0);
  at(record)->value = value;
  return record;
}

/* The caller is not inside. */
static trimalloc_heap_stats stats(void) {
  trimalloc_heap_stats found = {.struct_size = sizeof found};
  CHECK(trimalloc_heap_get_stats(heap, &found) == 0);
  return found;
}

static uint64_t heap_bytes_after_a_collection(void) {
  trimalloc_collect(&inside);
  trimalloc_leave(&inside);
  trimalloc_heap_verify(heap);
  uint64_t bytes = stats().heap;
  trimalloc_enter(heap, &inside);
  return bytes;
}

CASE(what_a_root_reaches_stays_and_the_rest_goes) {
  start(NULL);
  trimalloc_root root = trimalloc_root_add(&inside, make(1));
  CHECK(root != TRIMALLOC_NO_ROOT);
  trimalloc_ref top = trimalloc_root_get(&inside, root);
  CHECK(trimalloc_ref_to(&inside, at(top)) == top);
  trimalloc_ref child = make(2);
  trimalloc_store(&inside, &at(top)->left, child);
  trimalloc_store(&inside, &at(child)->right, top);
  make(3);
  CHECK(heap_bytes_after_a_collection() == 2 * sizeof(struct node));
  CHECK(trimalloc_load(&at(top)->left) == child);
  CHECK(at(child)->value == 2);
  trimalloc_root_set(&inside, root, child);
  CHECK(heap_bytes_after_a_collection() == 2 * sizeof(struct node));
  trimalloc_store(&inside, &at(child)->right, 0);
  CHECK(heap_bytes_after_a_collection() == sizeof(struct node));
  trimalloc_root_remove(&inside, root);
  CHECK(heap_bytes_after_a_collection() == 0);
  end();
}

/* Bottom up, so that each subtree is held by the stack alone while its sibling is made. */
static trimalloc_ref tree(trimalloc_stack* stack, int depth) {
  trimalloc_ref top = make(depth);
  if (depth == 0) return top;
  CHECK(trimalloc_push(&inside, stack, top));
  trimalloc_store(&inside, &at(top)->left, tree(stack, depth - 1));
  trimalloc_store(&inside, &at(top)->right, tree(stack, depth - 1));
  trimalloc_pop(&inside, stack, 1);
  return top;
}

static int count(trimalloc_ref top) {
  if (top == 0) return 0;
  return 1 + count(trimalloc_load(&at(top)->left)) + count(trimalloc_load(&at(top)->right));
}

CASE(a_stack_holds_what_functions_hold) {
  start(NULL);
  trimalloc_heap_collect_always(heap, 1);
  trimalloc_stack* stack = trimalloc_stack_create(&inside, 20);
  CHECK(stack != NULL);
  CHECK(trimalloc_push(&inside, stack, tree(stack, 12)));
  CHECK(count(stack->slots[0]) == (1 << 13) - 1);
  for (int i = 1; i < 20; ++i) CHECK(trimalloc_push(&inside, stack, 0));
  CHECK(!trimalloc_push(&inside, stack, 0));
  trimalloc_stack_destroy(&inside, stack);
  CHECK(heap_bytes_after_a_collection() == 0);
  end();
}

CASE(arrays_hold_references_and_bytes) {
  start(NULL);
  trimalloc_ref array = trimalloc_new_refs(&inside, 100000);
  trimalloc_root root = trimalloc_root_add(&inside, array);
  CHECK(trimalloc_array_length(&inside, array) == 100000);
  for (int i = 0; i < 100000; ++i) {
    CHECK(trimalloc_array_refs(&inside, array)[i] == 0);
    trimalloc_ref text = trimalloc_new_bytes(&inside, 5);
    memcpy(trimalloc_array_bytes(&inside, text), "text", 5);
    trimalloc_store(&inside, trimalloc_array_refs(&inside, array) + i, text);
  }
  trimalloc_collect(&inside);
  for (int i = 0; i < 100000; ++i) {
    trimalloc_ref text = trimalloc_load(trimalloc_array_refs(&inside, array) + i);
    CHECK(trimalloc_array_length(&inside, text) == 5);
    CHECK(strcmp(trimalloc_array_bytes(&inside, text), "text") == 0);
  }
  trimalloc_root_remove(&inside, root);
  CHECK(heap_bytes_after_a_collection() == 0);
  end();
}

CASE(a_weak_reference_does_not_keep) {
  start(NULL);
  trimalloc_ref record = make(7);
  trimalloc_root root = trimalloc_root_add(&inside, record);
  trimalloc_weak weak = trimalloc_weak_add(&inside, record);
  CHECK(weak != TRIMALLOC_NO_WEAK);
  trimalloc_collect(&inside);
  CHECK(trimalloc_weak_load(&inside, weak) == record);
  trimalloc_root_remove(&inside, root);
  trimalloc_collect(&inside);
  CHECK(trimalloc_weak_load(&inside, weak) == 0);
  trimalloc_weak_remove(&inside, weak);
  end();
}

CASE(a_record_can_be_freed_by_hand) {
  start(NULL);
  trimalloc_ref record = make(7);
  CHECK(trimalloc_free_record(&inside, record));
  CHECK(!trimalloc_free_record(&inside, record));
  CHECK(!trimalloc_free_record(&inside, 0));
  end();
}

CASE(at_the_limit_there_is_no_record) {
  trimalloc_heap_options options = TRIMALLOC_HEAP_OPTIONS;
  options.limit_bytes = 4 << 20;
  start(&options);
  trimalloc_root root = trimalloc_root_add(&inside, 0);
  trimalloc_ref record;
  int made = 0;
  errno = 0;
  while ((record = trimalloc_new(&inside, node_type)) != 0) {
    trimalloc_store(&inside, &at(record)->left, trimalloc_root_get(&inside, root));
    trimalloc_root_set(&inside, root, record);
    ++made;
  }
  CHECK(errno == ENOMEM);
  CHECK(made > 200000);
  errno = 0;
  CHECK(trimalloc_new_bytes(&inside, 1 << 20) == 0);
  CHECK(errno == ENOMEM);
  trimalloc_root_remove(&inside, root);
  trimalloc_collect(&inside);
  make(1);
  end();
}

static void expect_no_type(uint32_t bytes, const uint32_t* offsets, uint32_t references) {
  errno = 0;
  CHECK(trimalloc_type_create(heap, bytes, offsets, references) == 0);
  CHECK(errno == EINVAL);
}

CASE(bad_requests_are_refused) {
  errno = 0;
  CHECK(trimalloc_heap_create_abi(TRIMALLOC_HEAP_ABI + 1, NULL) == NULL);
  CHECK(errno == EPROTO);
  trimalloc_heap_options options = TRIMALLOC_HEAP_OPTIONS;
  options.struct_size = 4;
  errno = 0;
  CHECK(trimalloc_heap_create(&options) == NULL);
  CHECK(errno == EINVAL);
  start(NULL);
  trimalloc_leave(&inside);
  const uint32_t twice[] = {8, 8}, odd[] = {2}, outside[] = {16};
  expect_no_type(0, NULL, 0);
  expect_no_type(65537, NULL, 0);
  expect_no_type(16, twice, 2);
  expect_no_type(16, odd, 1);
  expect_no_type(16, outside, 1);
  uint32_t apart[17];
  for (uint32_t i = 0; i < 17; ++i) apart[i] = 8 * i;
  expect_no_type(200, apart, 17);
  CHECK(trimalloc_type_create(heap, 200, apart, 16) != 0);
  trimalloc_heap_stats small = {.struct_size = 8};
  errno = 0;
  CHECK(trimalloc_heap_get_stats(heap, &small) == -1);
  CHECK(errno == EINVAL);
  int types = 2;
  while (trimalloc_type_create(heap, 16, NULL, 0) != 0) ++types;
  CHECK(errno == ENOSPC);
  CHECK(types == 253);
  trimalloc_enter(heap, &inside);
  end();
}

CASE(references_may_lie_anywhere_and_in_any_order) {
  start(NULL);
  trimalloc_leave(&inside);
  const uint32_t offsets[] = {60, 0, 32, 36, 4};
  trimalloc_type type = trimalloc_type_create(heap, 64, offsets, 5);
  CHECK(type != 0);
  trimalloc_enter(heap, &inside);
  trimalloc_ref record = trimalloc_new(&inside, type);
  trimalloc_root_add(&inside, record);
  char* memory = trimalloc_at(&inside, record);
  memset(memory + 8, 0xFF, 24); /* no references */
  for (int i = 0; i < 5; ++i) {
    trimalloc_store(&inside, (trimalloc_ref*)(memory + offsets[i]), make(i));
  }
  CHECK(heap_bytes_after_a_collection() == 64 + 5 * sizeof(struct node));
  for (int i = 0; i < 5; ++i) {
    CHECK(at(trimalloc_load((trimalloc_ref*)(memory + offsets[i])))->value == i);
  }
  end();
}

CASE(collections_begin_by_themselves) {
  start(NULL);
  for (int i = 0; i < 5000000; ++i) trimalloc_new(&inside, node_type);
  trimalloc_leave(&inside);
  CHECK(stats().cycles >= 2);
  CHECK(stats().peak_resident < 48 << 20);
  CHECK(stats().allocated >= 5000000 * sizeof(struct node) - (1 << 20));
  CHECK(trimalloc_heap_release(heap) <= 48 << 20);
  trimalloc_enter(heap, &inside);
  end();
}

/* A list of its own for each thread, held by one root and turned over and over. */
static void* turn_a_list(void* number) {
  trimalloc_access mine;
  trimalloc_enter(heap, &mine);
  trimalloc_root root = trimalloc_root_add(&mine, 0);
  for (int i = 0; i < 100; ++i) {
    trimalloc_ref record = trimalloc_new(&mine, node_type);
    struct node* node = trimalloc_at(&mine, record);
    node->value = (int64_t)(intptr_t)number;
    trimalloc_store(&mine, &node->left, trimalloc_root_get(&mine, root));
    trimalloc_root_set(&mine, root, record);
  }
  for (int round = 0; round < 3000; ++round) {
    trimalloc_ref turned = 0;
    trimalloc_ref next = trimalloc_root_get(&mine, root);
    while (next != 0) {
      struct node* node = trimalloc_at(&mine, next);
      trimalloc_ref rest = trimalloc_load(&node->left);
      trimalloc_store(&mine, &node->left, turned);
      turned = next;
      next = rest;
    }
    trimalloc_root_set(&mine, root, turned);
    for (int i = 0; i < 200; ++i) trimalloc_new(&mine, node_type);
    if (round % 2) trimalloc_poll(&mine);
    if (round % 16) continue;
    trimalloc_leave(&mine);
    trimalloc_enter(heap, &mine);
  }
  int length = 0;
  for (trimalloc_ref record = trimalloc_root_get(&mine, root); record != 0; ++length) {
    struct node* node = trimalloc_at(&mine, record);
    CHECK(node->value == (int64_t)(intptr_t)number);
    record = trimalloc_load(&node->left);
  }
  CHECK(length == 100);
  trimalloc_root_remove(&mine, root);
  trimalloc_leave(&mine);
  return NULL;
}

CASE(threads_share_a_heap) {
  trimalloc_heap_options options = TRIMALLOC_HEAP_OPTIONS;
  options.processors = 3;
  options.gc_percent = 20;
  start(&options);
  trimalloc_leave(&inside);
  pthread_t threads[6];
  for (intptr_t i = 0; i < 6; ++i) pthread_create(threads + i, NULL, turn_a_list, (void*)i);
  for (int i = 0; i < 6; ++i) pthread_join(threads[i], NULL);
  trimalloc_enter(heap, &inside);
  CHECK(heap_bytes_after_a_collection() == 0);
  end();
}

CASE(a_forked_child_has_a_heap_of_its_own) {
  start(NULL);
  trimalloc_root root = trimalloc_root_add(&inside, make(42));
  trimalloc_leave(&inside);
  pid_t child = fork();
  trimalloc_enter(heap, &inside);
  CHECK(at(trimalloc_root_get(&inside, root))->value == 42);
  if (child == 0) {
    trimalloc_root_remove(&inside, root);
    CHECK(heap_bytes_after_a_collection() == 0);
    _exit(0);
  }
  int status;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(heap_bytes_after_a_collection() == sizeof(struct node));
  end();
}
