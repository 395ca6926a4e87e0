/* The collected heap through its C interface. */
#include "trimalloc/containers.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cases.h"

struct node {
  trimalloc_ref left;
  trimalloc_ref right;
  int64_t value;
};

/* What a node takes: whole granules. */
#define NODE_BYTES ((sizeof(struct node) + 15) / 16 * 16)

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
  CHECK(heap_bytes_after_a_collection() == 2 * NODE_BYTES);
  CHECK(trimalloc_load(&at(top)->left) == child);
  CHECK(at(child)->value == 2);
  trimalloc_root_set(&inside, root, child);
  CHECK(heap_bytes_after_a_collection() == 2 * NODE_BYTES);
  trimalloc_store(&inside, &at(child)->right, 0);
  CHECK(heap_bytes_after_a_collection() == NODE_BYTES);
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
  CHECK(made > 200000 * 16 / (int)NODE_BYTES);
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
  for (uint32_t i = 0; i < 17; ++i) apart[i] = 2 * sizeof(trimalloc_ref) * i;
  expect_no_type(400, apart, 17);
  CHECK(trimalloc_type_create(heap, 400, apart, 16) != 0);
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
  const uint32_t offsets[] = {15 * sizeof(trimalloc_ref), 0, 8 * sizeof(trimalloc_ref),
                              9 * sizeof(trimalloc_ref), sizeof(trimalloc_ref)};
  const uint32_t bytes = 16 * sizeof(trimalloc_ref);
  trimalloc_type type = trimalloc_type_create(heap, bytes, offsets, 5);
  CHECK(type != 0);
  trimalloc_enter(heap, &inside);
  trimalloc_ref record = trimalloc_new(&inside, type);
  trimalloc_root_add(&inside, record);
  char* memory = trimalloc_at(&inside, record);
  memset(memory + bytes / 8, 0xFF, 3 * bytes / 8); /* no references */
  for (int i = 0; i < 5; ++i) {
    trimalloc_store(&inside, (trimalloc_ref*)(memory + offsets[i]), make(i));
  }
  CHECK(heap_bytes_after_a_collection() == bytes + 5 * NODE_BYTES);
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
  CHECK(heap_bytes_after_a_collection() == NODE_BYTES);
  end();
}

/* --- heaps as a whole ------------------------------------------------------------------------- */

CASE(the_limit_and_the_pace_can_be_changed) {
  trimalloc_heap_options options = TRIMALLOC_HEAP_OPTIONS;
  options.gc_percent = -1;
  start(&options);
  for (int i = 0; i < 100000; ++i) make(i);
  CHECK(trimalloc_load(&at(make(1))->left) == 0);
  trimalloc_leave(&inside);
  CHECK(stats().cycles == 0);
  trimalloc_heap_set_gc_percent(heap, 100);
  trimalloc_enter(heap, &inside);
  for (int i = 0; i < 1000000; ++i) make(i);
  trimalloc_leave(&inside);
  CHECK(stats().cycles != 0);
  trimalloc_heap_set_limit(heap, 1 << 20);
  CHECK(stats().limit == 1 << 20);
  trimalloc_enter(heap, &inside);
  trimalloc_stack* kept = trimalloc_stack_create(&inside, 1 << 15);
  trimalloc_ref record = 0;
  for (int i = 0; i < 1 << 20 && (kept == NULL || i < 1 << 15); ++i) {
    record = trimalloc_new(&inside, node_type);
    if (record == 0) break;
    if (kept != NULL) trimalloc_push(&inside, kept, record);
  }
  trimalloc_stack_destroy(&inside, kept);
  end();
}

CASE(what_is_frozen_stays) {
  start(NULL);
  trimalloc_root root = trimalloc_root_add(&inside, make(1));
  trimalloc_ref frozen = trimalloc_root_get(&inside, root);
  trimalloc_leave(&inside);
  trimalloc_heap_freeze(heap);
  trimalloc_enter(heap, &inside);
  trimalloc_root_remove(&inside, root);
  trimalloc_store(&inside, &at(frozen)->left, make(2));
  heap_bytes_after_a_collection();
  CHECK(at(frozen)->value == 1);
  CHECK(at(trimalloc_load(&at(frozen)->left))->value == 2);
  end();
}

CASE(what_was_reclaimed_is_told_by_copies) {
  start(NULL);
  trimalloc_leave(&inside);
  CHECK(trimalloc_watch_reclaims(heap, 0, 1) == -1 && errno == EINVAL);
  CHECK(trimalloc_watch_reclaims(heap, 9999, 1) == -1 && errno == EINVAL);
  CHECK(trimalloc_watch_reclaims(heap, node_type, 1) == 0);
  trimalloc_enter(heap, &inside);
  trimalloc_root root = trimalloc_root_add(&inside, make(5));
  make(6);
  heap_bytes_after_a_collection();
  struct node copy;
  int64_t sum = 0;
  while (trimalloc_take_reclaimed(&inside, node_type, &copy)) sum += copy.value;
  CHECK(sum == 6);
  trimalloc_root_remove(&inside, root);
  trimalloc_leave(&inside);
  CHECK(trimalloc_watch_reclaims(heap, node_type, 0) == 0);
  trimalloc_enter(heap, &inside);
  heap_bytes_after_a_collection();
  CHECK(trimalloc_take_reclaimed(&inside, node_type, &copy) == 0);
  end();
}

CASE(a_region_is_freed_together) {
  start(NULL);
  trimalloc_region region;
  trimalloc_region_begin(&inside, &region);
  trimalloc_ref kept = 0;
  for (int i = 0; i < 10000; ++i) {
    trimalloc_ref record = make(i);
    CHECK(trimalloc_region_add(&inside, &region, record));
    if (i == 5000) kept = record;
  }
  trimalloc_root root = trimalloc_root_add(&inside, kept);
  trimalloc_collect(&inside);
  CHECK(trimalloc_region_keep(&inside, &region, kept) == 1);
  CHECK(trimalloc_region_keep(&inside, &region, kept) == 0);
  CHECK(trimalloc_region_end(&inside, &region) == 9999);
  CHECK(trimalloc_is_live(&inside, kept) && at(kept)->value == 5000);
  trimalloc_root_remove(&inside, root);
  end();
}

struct told {
  int64_t values[16];
  uint32_t depths[16];
  int count;
  int most;
};

static int tell(void* context, trimalloc_access* access, trimalloc_ref record, uint32_t depth) {
  struct told* told = context;
  told->values[told->count] = ((struct node*)trimalloc_at(access, record))->value;
  told->depths[told->count] = depth;
  return ++told->count == told->most;
}

CASE(walks_go_in_the_order_that_is_asked_for) {
  start(NULL);
  /* 1 -> (2, array -> 4); 2 -> 3 -> 4 */
  trimalloc_root root = trimalloc_root_add(&inside, make(1));
  trimalloc_ref top = trimalloc_root_get(&inside, root);
  trimalloc_ref four = make(4);
  trimalloc_store(&inside, &at(top)->left, make(2));
  trimalloc_ref two = at(top)->left;
  trimalloc_store(&inside, &at(two)->left, make(3));
  trimalloc_store(&inside, &at(at(two)->left)->left, four);
  trimalloc_ref array = trimalloc_new_refs(&inside, 1);
  trimalloc_store(&inside, trimalloc_array_refs(&inside, array), four);
  trimalloc_store(&inside, &at(top)->right, array);

  struct told told = {.most = 16};
  CHECK(trimalloc_walk(&inside, TRIMALLOC_BREADTH_FIRST, &top, 1, tell, &told) == 4);
  CHECK(told.values[0] == 1 && told.values[3] == 3);
  CHECK(told.depths[0] == 0 && told.depths[1] == 1 && told.depths[3] == 2);
  told = (struct told){.most = 16};
  CHECK(trimalloc_walk(&inside, TRIMALLOC_TOPOLOGICAL, &top, 1, tell, &told) == 4);
  for (int i = 0; i < 4; ++i) CHECK(told.values[i] == i + 1);
  told = (struct told){.most = 2};
  CHECK(trimalloc_walk(&inside, TRIMALLOC_DEPTH_FIRST, &top, 1, tell, &told) == 2);
  CHECK(told.count == 2 && told.values[1] == 2);
  CHECK(trimalloc_walk(&inside, TRIMALLOC_DEPTH_FIRST, &two, 1, NULL, NULL) == 3);
  CHECK(trimalloc_walk(&inside, TRIMALLOC_BREADTH_FIRST, NULL, 0, NULL, NULL) == 0);

  trimalloc_store(&inside, &at(four)->left, top);
  CHECK(trimalloc_walk(&inside, TRIMALLOC_TOPOLOGICAL, &top, 1, NULL, NULL) == -1);
  CHECK(errno == ELOOP);
  trimalloc_ref nothing = 4000000000u;
  CHECK(trimalloc_walk(&inside, TRIMALLOC_DEPTH_FIRST, &nothing, 1, NULL, NULL) == -1);
  CHECK(errno == EINVAL);
  end();
}

/* --- files ------------------------------------------------------------------------------------ */

static int empty_file(void) {
  char name[] = "/tmp/heapXXXXXX";
  int file = mkstemp(name);
  CHECK(file >= 0);
  unlink(name);
  return file;
}

static int saved_list(int length) {
  int file = empty_file();
  start(NULL);
  trimalloc_stack* roots = trimalloc_stack_create(&inside, 2);
  CHECK(trimalloc_push(&inside, roots, 0) && trimalloc_push(&inside, roots, 0));
  for (int i = 0; i < length; ++i) {
    trimalloc_ref record = make(i);
    trimalloc_store(&inside, &at(record)->left, roots->slots[1]);
    roots->slots[1] = record;
  }
  trimalloc_leave(&inside);
  CHECK(trimalloc_heap_save(heap, file, roots, "nodes", 5) == 0);
  trimalloc_heap_destroy(heap);
  return file;
}

static void open_list(int file, uint32_t how) {
  heap = trimalloc_heap_open(file, how, NULL);
  CHECK(heap != NULL);
  node_type = trimalloc_type_create(heap, sizeof(struct node), node_references, 2);
  CHECK(node_type != 0);
  trimalloc_enter(heap, &inside);
}

CASE(a_saved_heap_is_found_again) {
  int file = saved_list(1000);
  open_list(file, TRIMALLOC_OPEN_VERIFY);
  size_t bytes = 0;
  CHECK(memcmp(trimalloc_heap_saved_text(heap, &bytes), "nodes", 5) == 0 && bytes == 5);
  CHECK(trimalloc_heap_saved_count(heap) == 2);
  CHECK(trimalloc_heap_saved_root(heap, 0) == 0 && trimalloc_heap_saved_root(heap, 2) == 0);
  int64_t sum = 0;
  for (trimalloc_ref r = trimalloc_heap_saved_root(heap, 1); r != 0; r = at(r)->left) {
    CHECK(trimalloc_type_of(&inside, r) == node_type);
    sum += at(r)->value;
  }
  CHECK(sum == 999 * 1000 / 2);
  end();
  open_list(file, TRIMALLOC_OPEN_PRIVATE);
  trimalloc_ref top = trimalloc_heap_saved_root(heap, 1);
  at(top)->value = -1;
  trimalloc_store(&inside, &at(top)->right, make(77));
  heap_bytes_after_a_collection();
  CHECK(at(top)->value == -1 && at(at(top)->right)->value == 77);
  end();
  open_list(file, 0);
  CHECK(at(trimalloc_heap_saved_root(heap, 1))->value == 999);
  end();
}

CASE(files_that_are_no_whole_heap_are_refused) {
  int file = empty_file();
  CHECK(trimalloc_heap_open(file, 0, NULL) == NULL && errno != 0);
  CHECK(write(file, "nothing that is a heap, and long enough for a look at it", 56) == 56);
  CHECK(trimalloc_heap_open(file, 0, NULL) == NULL && errno == EINVAL);
  CHECK(trimalloc_heap_open(file, 99, NULL) == NULL && errno == EINVAL);
  CHECK(trimalloc_heap_open_abi(99, file, 0, NULL) == NULL && errno == EPROTO);
  CHECK(trimalloc_heap_open(-1, 0, NULL) == NULL && errno == EBADF);
  file = saved_list(1000);
  char byte;
  CHECK(pread(file, &byte, 1, 600) == 1);
  byte ^= 1;
  CHECK(pwrite(file, &byte, 1, 600) == 1);
  CHECK(trimalloc_heap_open(file, 0, NULL) == NULL && errno == EBADMSG);
  start(NULL);
  trimalloc_leave(&inside);
  CHECK(trimalloc_heap_save(heap, -1, NULL, NULL, 0) == -1 && errno == EBADF);
  CHECK(trimalloc_heap_saved_count(heap) == 0);
  CHECK(trimalloc_heap_at((uintptr_t)heap) == heap);
  CHECK(trimalloc_heap_at(0) == NULL && errno == EINVAL);
  trimalloc_heap_destroy(heap);
}

/* --- containers ------------------------------------------------------------------------------- */

static trimalloc_containers declare(trimalloc_container_kind kind, trimalloc_content keys,
                                    trimalloc_content values) {
  trimalloc_containers made;
  trimalloc_leave(&inside);
  CHECK(trimalloc_containers_create(heap, kind, keys, values, &made) == 0);
  trimalloc_enter(heap, &inside);
  return made;
}

static trimalloc_ref rooted(const trimalloc_containers* of) {
  trimalloc_ref made = trimalloc_new(&inside, of->type);
  CHECK(made != 0 && trimalloc_root_add(&inside, made) != TRIMALLOC_NO_ROOT);
  return made;
}

static trimalloc_item integer(int64_t number) { return (trimalloc_item){.integer = number}; }
static trimalloc_item text(const char* given) {
  return (trimalloc_item){.bytes = given, .length = (uint32_t)strlen(given)};
}
static int is_text(const trimalloc_item* item, const char* wanted) {
  return item->length == strlen(wanted) && memcmp(item->bytes, wanted, item->length) == 0;
}

CASE(a_map_holds_records_under_numbers) {
  start(NULL);
  trimalloc_containers maps = declare(TRIMALLOC_MAP, TRIMALLOC_INTEGERS, TRIMALLOC_RECORDS);
  trimalloc_ref map = rooted(&maps);
  for (int i = 0; i < 5000; ++i) {
    trimalloc_item key = integer(i * 3 - 1000), value = {.record = make(i)};
    CHECK(trimalloc_put(&inside, &maps, map, &key, &value) == 1);
  }
  heap_bytes_after_a_collection();
  CHECK(trimalloc_count(&inside, &maps, map) == 5000);
  trimalloc_item found;
  for (int i = 0; i < 5000; ++i) {
    trimalloc_item key = integer(i * 3 - 1000);
    CHECK(trimalloc_get(&inside, &maps, map, &key, &found) == 1);
    CHECK(at(found.record)->value == i);
  }
  trimalloc_item key = integer(0), value = {.record = make(1)};
  CHECK(trimalloc_get(&inside, &maps, map, &key, &found) == 0);
  key = integer(-1000);
  CHECK(trimalloc_put(&inside, &maps, map, &key, &value) == 0);
  CHECK(trimalloc_remove(&inside, &maps, map, &key) == 1);
  CHECK(trimalloc_remove(&inside, &maps, map, &key) == 0);
  uint32_t position = 0;
  int64_t sum = 0, count = 0;
  while (trimalloc_next(&inside, &maps, map, &position, &key, &found) == 1) {
    CHECK(key.integer == at(found.record)->value * 3 - 1000);
    sum += at(found.record)->value;
    ++count;
  }
  CHECK(count == 4999 && sum == 4999 * 5000 / 2);
  value.record = 4000000000u;
  CHECK(trimalloc_put(&inside, &maps, map, &key, &value) == -1 && errno == EINVAL);
  CHECK(trimalloc_clear(&inside, &maps, map) == 0 && trimalloc_count(&inside, &maps, map) == 0);
  end();
}

CASE(an_lru_forgets_what_was_used_least_recently) {
  start(NULL);
  trimalloc_containers caches = declare(TRIMALLOC_LRU, TRIMALLOC_BYTES, TRIMALLOC_BYTES);
  trimalloc_ref cache = rooted(&caches);
  CHECK(trimalloc_set_capacity(&inside, &caches, cache, 2) == 0);
  trimalloc_item one = text("one"), two = text("two"), three = text("three"), key, value;
  CHECK(trimalloc_put(&inside, &caches, cache, &one, &one) == 1);
  CHECK(trimalloc_put(&inside, &caches, cache, &two, &two) == 1);
  CHECK(trimalloc_get(&inside, &caches, cache, &one, &value) == 1 && is_text(&value, "one"));
  CHECK(trimalloc_put(&inside, &caches, cache, &three, &three) == 1);
  CHECK(trimalloc_get(&inside, &caches, cache, &two, &value) == 0);
  CHECK(trimalloc_first(&inside, &caches, cache, 1, &key, &value) == 1);
  CHECK(is_text(&key, "one") && is_text(&value, "one"));
  CHECK(trimalloc_count(&inside, &caches, cache) == 1);
  end();
}

CASE(a_trie_finds_the_longest_prefix) {
  start(NULL);
  trimalloc_containers tries = declare(TRIMALLOC_TRIE, TRIMALLOC_BYTES, TRIMALLOC_REALS);
  trimalloc_ref trie = rooted(&tries);
  trimalloc_item key = text("ab"), value = {.real = 0.5};
  CHECK(trimalloc_put(&inside, &tries, trie, &key, &value) == 1);
  key = text("abcd");
  value.real = 0.25;
  CHECK(trimalloc_put(&inside, &tries, trie, &key, &value) == 1);
  uint32_t length = 0;
  key = text("abcxyz");
  CHECK(trimalloc_longest_prefix(&inside, &tries, trie, &key, &length, &value) == 1);
  CHECK(length == 2 && value.real == 0.5);
  key = text("x");
  CHECK(trimalloc_longest_prefix(&inside, &tries, trie, &key, &length, &value) == 0);
  key = text("abcd");
  CHECK(trimalloc_get(&inside, &tries, trie, &key, &value) == 1 && value.real == 0.25);
  CHECK(trimalloc_remove(&inside, &tries, trie, &key) == 1);
  CHECK(trimalloc_count(&inside, &tries, trie) == 1);
  end();
}

CASE(a_queue_gives_the_least_first) {
  start(NULL);
  trimalloc_containers queues = declare(TRIMALLOC_QUEUE, TRIMALLOC_REALS, TRIMALLOC_INTEGERS);
  trimalloc_ref queue = rooted(&queues);
  trimalloc_item key = {.real = 0}, value;
  for (int i = 0; i < 1000; ++i) {
    key.real = (i * 619 % 1000) / 8.0 - 50;
    value = integer(i * 619 % 1000);
    CHECK(trimalloc_put(&inside, &queues, queue, &key, &value) == 1);
  }
  for (int i = 0; i < 1000; ++i) {
    CHECK(trimalloc_first(&inside, &queues, queue, 1, &key, &value) == 1);
    CHECK(value.integer == i && key.real == i / 8.0 - 50);
  }
  CHECK(trimalloc_first(&inside, &queues, queue, 1, &key, &value) == 0);
  key.real = __builtin_nan("");
  CHECK(trimalloc_put(&inside, &queues, queue, &key, &value) == -1 && errno == EINVAL);
  CHECK(trimalloc_get(&inside, &queues, queue, &key, &value) == -1 && errno == EINVAL);
  end();
}

CASE(a_list_grows_at_its_end) {
  start(NULL);
  trimalloc_containers lists = declare(TRIMALLOC_LIST, TRIMALLOC_INTEGERS, TRIMALLOC_INTEGERS);
  trimalloc_ref list = rooted(&lists);
  for (int i = 0; i < 1000; ++i) {
    trimalloc_item key = integer(i), value = integer(i * i);
    CHECK(trimalloc_put(&inside, &lists, list, &key, &value) == 1);
  }
  trimalloc_item key = integer(10), value = integer(-1);
  CHECK(trimalloc_put(&inside, &lists, list, &key, &value) == 0);
  CHECK(trimalloc_get(&inside, &lists, list, &key, &value) == 1 && value.integer == -1);
  key = integer(1001);
  CHECK(trimalloc_put(&inside, &lists, list, &key, &value) == -1 && errno == EINVAL);
  CHECK(trimalloc_get(&inside, &lists, list, &key, &value) == 0);
  CHECK(trimalloc_first(&inside, &lists, list, 1, &key, &value) == 1);
  CHECK(key.integer == 999 && value.integer == 999 * 999);
  CHECK(trimalloc_count(&inside, &lists, list) == 999);
  end();
}

CASE(what_is_no_such_container_is_refused) {
  start(NULL);
  trimalloc_containers maps = declare(TRIMALLOC_MAP, TRIMALLOC_INTEGERS, TRIMALLOC_INTEGERS);
  trimalloc_containers lists = declare(TRIMALLOC_LIST, TRIMALLOC_INTEGERS, TRIMALLOC_INTEGERS);
  trimalloc_ref map = rooted(&maps);
  trimalloc_item key = integer(1), value = integer(2);
  CHECK(trimalloc_put(&inside, &lists, map, &key, &value) == -1 && errno == EINVAL);
  CHECK(trimalloc_put(&inside, &maps, 0, &key, &value) == -1 && errno == EINVAL);
  CHECK(trimalloc_put(&inside, &maps, make(1), &key, &value) == -1 && errno == EINVAL);
  CHECK(trimalloc_first(&inside, &maps, map, 0, &key, &value) == -1 && errno == EINVAL);
  trimalloc_leave(&inside);
  CHECK(trimalloc_containers_create(heap, TRIMALLOC_TRIE, TRIMALLOC_INTEGERS, TRIMALLOC_INTEGERS,
                                    &lists) == -1);
  CHECK(errno == EINVAL);
  trimalloc_enter(heap, &inside);
  end();
}

static trimalloc_containers shared_maps;
static trimalloc_ref shared_map;

static void* put_many(void* first) {
  trimalloc_access access;
  trimalloc_enter(heap, &access);
  for (int64_t i = 0; i < 5000; ++i) {
    trimalloc_item key = integer((int64_t)(intptr_t)first + i), value = {0};
    value.record = trimalloc_new(&access, node_type);
    ((struct node*)trimalloc_at(&access, value.record))->value = key.integer;
    CHECK(trimalloc_put(&access, &shared_maps, shared_map, &key, &value) == 1);
  }
  trimalloc_leave(&access);
  return NULL;
}

CASE(threads_share_a_container) {
  start(NULL);
  shared_maps = declare(TRIMALLOC_MAP, TRIMALLOC_INTEGERS, TRIMALLOC_RECORDS);
  shared_map = rooted(&shared_maps);
  trimalloc_leave(&inside);
  pthread_t threads[4];
  for (intptr_t i = 0; i < 4; ++i) {
    CHECK(pthread_create(threads + i, NULL, put_many, (void*)(i * 5000)) == 0);
  }
  for (int i = 0; i < 4; ++i) CHECK(pthread_join(threads[i], NULL) == 0);
  trimalloc_enter(heap, &inside);
  for (int i = 0; i < 20000; ++i) {
    trimalloc_item key = integer(i), value;
    CHECK(trimalloc_get(&inside, &shared_maps, shared_map, &key, &value) == 1);
    CHECK(at(value.record)->value == i);
  }
  end();
}
