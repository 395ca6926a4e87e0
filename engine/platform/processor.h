// Work on what belongs to the processor that one runs on, without a lock: restartable sequences
// (rseq(2), Linux 4.18; the idea is Paul Turner's and Andrew Hunter's, first merged for TCMalloc).
//
// A thread names a stretch of its own code to the kernel; whenever it is taken off the processor
// inside that stretch, or a signal arrives, the kernel sends it to an abort address instead of
// back. So a stretch that reads the processor's number and ends with one store is, on that
// processor, all or nothing. The order here is the conventional one (tools/testing/selftests/rseq
// in Linux):
//
//   name the stretch | read the number ... compute ... store | forget it lazily
//                    ^begin                                  ^end
//
// glibc registers every thread since 2.35 and tells where its area lies (__rseq_offset); this file
// makes no registration of its own and writes nothing there but the stretch's name, in each call,
// because the kernel may take it away at any preemption.
//
// What is counted per processor is numbered by the kernel's concurrency id (mm_cid, Linux 6.3)
// where there is one: a process that may use 2 of 64 processors then sees the numbers 0 and 1.
// Before, it is the processor's own number.
//
// The same makes a store that others can call off: it looks at a word and stores only if that is
// zero, all or nothing. Who sets the word and then has the sequences restarted knows that none is
// under way that has seen a zero: a lock that costs its many takers a load and its one closer a
// system call.
//
// One thing breaks this: a child of vfork(2) shares the parent's area but is not registered. It
// must not allocate, which POSIX forbids it anyway.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__SANITIZE_THREAD__)
extern "C" void __tsan_release(void* address);
#endif

namespace tri::platform {

// A sequence is going to store there with release. ThreadSanitizer does not see what assembly does.
inline void note_release([[maybe_unused]] void* address) {
#if defined(__SANITIZE_THREAD__)
  __tsan_release(address);
#endif
}

// What processors are numbered by, as the distance in bytes from the stretch's name to the number
// in struct rseq: known when the code is compiled, because a load more is felt.
enum class Numbers : int { kProcessor = -4, kConcurrency = 16 };

struct ProcessorArea {
  ptrdiff_t stretch = 0;  // from the thread pointer to the stretch's name (rseq_cs), in bytes
  Numbers numbers = Numbers::kProcessor;
};

// Whether this process has sequences, and numbers below `most`; also makes restart_sequences()
// possible. False: another libc or kernel, or somebody has switched them off. `best`: kProcessor
// does without the better ones.
bool find_processor_area(ProcessorArea* area, unsigned most, Numbers best = Numbers::kConcurrency);

// When it returns true, every sequence that this process was in has ended or begins anew, and what
// the caller wrote before is seen by those that begin (membarrier(2), Linux 5.10).
bool restart_sequences();

// The number right now; it may be another one when the caller looks.
inline int current_processor(const ProcessorArea& area) {
  const auto* thread = static_cast<const char*>(__builtin_thread_pointer());
  return *reinterpret_cast<const volatile int*>(thread + area.stretch +
                                                static_cast<int>(area.numbers));
}

// --- sequences on stacks --------------------------------------------------------------------
// The table has an entry for each number and, below its first, for -1 and -2, which stand in the
// area of a thread that is not registered. An entry points to an array of tops; `limits` bytes
// behind a top lies its limit, `used` bytes behind the array a byte that taking marks. Stacks are
// those of cache/thread_cache.h.

// Begins with the description of the stretch from label 1 to label 2 that aborts to label 4 (struct
// rseq_cs), which is label 3. In front of the abort address the kernel wants the signature that the
// registration named: as an instruction that nobody executes, glibc's sysdeps/.../bits/rseq.h.
#define TRI_DESCRIBE_SEQUENCE        \
  ".pushsection __rseq_cs, \"aw\"\n" \
  ".balign 32\n"                     \
  "3: .long 0, 0\n"                  \
  ".quad 1f, 2f - 1f, 4f\n"          \
  ".popsection\n"
#if defined(__x86_64__)
#define TRI_ABORT_SEQUENCE                \
  ".pushsection __rseq_failure, \"ax\"\n" \
  ".byte 0x0f, 0xb9, 0x3d\n"              \
  ".long 0x53053053\n"                    \
  "4: jmp 5b\n"                           \
  ".popsection\n"

// nullptr: the stack is empty.
template <Numbers numbers, size_t used>
[[gnu::always_inline]] inline void* pop_here(const ProcessorArea& area, const void* table,
                                             size_t index) {
  void* object;
  asm volatile goto(TRI_DESCRIBE_SEQUENCE
                    "5: leaq 3b(%%rip), %%rax\n"
                    "movq %%rax, %%fs:(%[stretch])\n"
                    "1: movslq %%fs:%c[where](%[stretch]), %%rax\n"
                    "movq (%[table], %%rax, 8), %%rsi\n"
                    "leaq (%%rsi, %[index], 8), %%rdx\n"
                    "movq (%%rdx), %%rcx\n"
                    "movq (%%rcx), %%rax\n"
                    "testq %%rax, %%rax\n"
                    "je %l[empty]\n"
                    "movb $1, %c[used](%%rsi)\n"
                    "subq $8, %%rcx\n"
                    "movq %%rcx, (%%rdx)\n"
                    "2:\n" TRI_ABORT_SEQUENCE
                    : "=&a"(object)
                    : [stretch] "r"(area.stretch), [where] "i"(numbers), [table] "r"(table),
                      [index] "r"(index), [used] "i"(used)
                    : "rcx", "rdx", "rsi", "memory", "cc"
                    : empty);
  if (object == nullptr) __builtin_unreachable();
  return object;
empty:
  return nullptr;
}

// False: the stack is full.
template <Numbers numbers, size_t limits>
[[gnu::always_inline]] inline bool push_here(const ProcessorArea& area, const void* table,
                                             size_t index, void* object) {
  asm volatile goto(TRI_DESCRIBE_SEQUENCE
                    "5: leaq 3b(%%rip), %%rax\n"
                    "movq %%rax, %%fs:(%[stretch])\n"
                    "1: movslq %%fs:%c[where](%[stretch]), %%rax\n"
                    "movq (%[table], %%rax, 8), %%rax\n"
                    "leaq (%%rax, %[index], 8), %%rdx\n"
                    "movq (%%rdx), %%rax\n"
                    "cmpq %c[limits](%%rdx), %%rax\n"
                    "jae %l[full]\n"
                    "movq %[object], 8(%%rax)\n"
                    "addq $8, %%rax\n"
                    "movq %%rax, (%%rdx)\n"
                    "2:\n" TRI_ABORT_SEQUENCE
                    :
                    : [stretch] "r"(area.stretch), [where] "i"(numbers), [table] "r"(table),
                      [index] "r"(index), [object] "r"(object), [limits] "i"(limits)
                    : "rax", "rdx", "memory", "cc"
                    : full);
  return true;
full:
  return false;
}

// Sets the entry of `number`. False: the caller runs under another number by now.
template <Numbers numbers>
[[gnu::always_inline]] inline bool replace_here(const ProcessorArea& area, void* table, int number,
                                                void* value) {
  asm volatile goto(TRI_DESCRIBE_SEQUENCE
                    "5: leaq 3b(%%rip), %%rax\n"
                    "movq %%rax, %%fs:(%[stretch])\n"
                    "1: movslq %%fs:%c[where](%[stretch]), %%rax\n"
                    "cmpl %[number], %%eax\n"
                    "jne %l[moved]\n"
                    "movq %[value], (%[table], %%rax, 8)\n"
                    "2:\n" TRI_ABORT_SEQUENCE
                    :
                    : [stretch] "r"(area.stretch), [where] "i"(numbers), [table] "r"(table),
                      [number] "r"(number), [value] "r"(value)
                    : "rax", "memory", "cc"
                    : moved);
  return true;
moved:
  return false;
}

// Sets `*slot` if `*closed` is 0 and the thread is registered. False: it is not.
template <typename Value>
[[gnu::always_inline]] inline bool store_if_open(const ProcessorArea& area, const uint32_t* closed,
                                                 Value* slot, Value value) {
  static_assert(sizeof(Value) == 4 || sizeof(Value) == 8);
  note_release(slot);
  asm volatile goto(TRI_DESCRIBE_SEQUENCE
                    "5: leaq 3b(%%rip), %%rax\n"
                    "movq %%rax, %%fs:(%[stretch])\n"
                    "1: cmpl $0, %%fs:%c[where](%[stretch])\n"
                    "jl %l[refused]\n"
                    "cmpl $0, (%[closed])\n"
                    "jne %l[refused]\n"
                    "mov %[value], (%[slot])\n"  // as wide as the register
                    "2:\n" TRI_ABORT_SEQUENCE
                    :
                    : [stretch] "r"(area.stretch), [where] "i"(Numbers::kProcessor),
                      [closed] "r"(closed), [slot] "r"(slot), [value] "r"(value)
                    : "rax", "memory", "cc"
                    : refused);
  return true;
refused:
  return false;
}

#elif defined(__aarch64__)
#define TRI_ABORT_SEQUENCE                \
  ".pushsection __rseq_failure, \"ax\"\n" \
  ".inst 0xd428bc00\n"                    \
  "4: b 5b\n"                             \
  ".popsection\n"
// Where the stretch's name stands.
inline char* address_of(const ProcessorArea& area) {
  return static_cast<char*>(__builtin_thread_pointer()) + area.stretch;
}
#define TRI_NAME_SEQUENCE  \
  "5: adrp x9, 3b\n"       \
  "add x9, x9, :lo12:3b\n" \
  "str x9, [%[area]]\n"

template <Numbers numbers, size_t used>
[[gnu::always_inline]] inline void* pop_here(const ProcessorArea& area, const void* table,
                                             size_t index) {
  void* object;
  asm volatile goto(TRI_DESCRIBE_SEQUENCE TRI_NAME_SEQUENCE
                    "1: ldrsw x9, [%[area], %[where]]\n"
                    "ldr x9, [%[table], x9, lsl #3]\n"
                    "add x10, x9, %[index], lsl #3\n"
                    "ldr x11, [x10]\n"
                    "ldr %[object], [x11]\n"
                    "cbz %[object], %l[empty]\n"
                    "mov w12, #1\n"
                    "strb w12, [x9, %[used]]\n"
                    "sub x11, x11, #8\n"
                    "str x11, [x10]\n"
                    "2:\n" TRI_ABORT_SEQUENCE
                    : [object] "=&r"(object)
                    : [area] "r"(address_of(area)), [where] "i"(numbers), [table] "r"(table),
                      [index] "r"(index), [used] "r"(used)
                    : "x9", "x10", "x11", "x12", "memory", "cc"
                    : empty);
  if (object == nullptr) __builtin_unreachable();
  return object;
empty:
  return nullptr;
}

template <Numbers numbers, size_t limits>
[[gnu::always_inline]] inline bool push_here(const ProcessorArea& area, const void* table,
                                             size_t index, void* object) {
  asm volatile goto(TRI_DESCRIBE_SEQUENCE TRI_NAME_SEQUENCE
                    "1: ldrsw x9, [%[area], %[where]]\n"
                    "ldr x9, [%[table], x9, lsl #3]\n"
                    "add x10, x9, %[index], lsl #3\n"
                    "ldr x11, [x10]\n"
                    "ldr x12, [x10, %[limits]]\n"
                    "cmp x11, x12\n"
                    "b.hs %l[full]\n"
                    "str %[object], [x11, #8]!\n"
                    "str x11, [x10]\n"
                    "2:\n" TRI_ABORT_SEQUENCE
                    :
                    : [area] "r"(address_of(area)), [where] "i"(numbers), [table] "r"(table),
                      [index] "r"(index), [object] "r"(object), [limits] "r"(limits)
                    : "x9", "x10", "x11", "x12", "memory", "cc"
                    : full);
  return true;
full:
  return false;
}

template <Numbers numbers>
[[gnu::always_inline]] inline bool replace_here(const ProcessorArea& area, void* table, int number,
                                                void* value) {
  asm volatile goto(TRI_DESCRIBE_SEQUENCE TRI_NAME_SEQUENCE
                    "1: ldrsw x9, [%[area], %[where]]\n"
                    "cmp w9, %w[number]\n"
                    "b.ne %l[moved]\n"
                    "str %[value], [%[table], x9, lsl #3]\n"
                    "2:\n" TRI_ABORT_SEQUENCE
                    :
                    : [area] "r"(address_of(area)), [where] "i"(numbers), [table] "r"(table),
                      [number] "r"(number), [value] "r"(value)
                    : "x9", "memory", "cc"
                    : moved);
  return true;
moved:
  return false;
}
// Sets `*slot` if `*closed` is 0 and the thread is registered. False: it is not.
template <typename Value>
[[gnu::always_inline]] inline bool store_if_open(const ProcessorArea& area, const uint32_t* closed,
                                                 Value* slot, Value value) {
  static_assert(sizeof(Value) == 4 || sizeof(Value) == 8);
  note_release(slot);
#define TRI_STORE_BY(instruction)                                                     \
  asm volatile goto(TRI_DESCRIBE_SEQUENCE TRI_NAME_SEQUENCE                           \
                    "1: ldr w9, [%[area], %[where]]\n"                                \
                    "tbnz w9, #31, %l[refused]\n"                                     \
                    "ldr w9, [%[closed]]\n"                                           \
                    "cbnz w9, %l[refused]\n" instruction "2:\n" TRI_ABORT_SEQUENCE    \
                    :                                                                 \
                    : [area] "r"(address_of(area)), [where] "i"(Numbers::kProcessor), \
                      [closed] "r"(closed), [slot] "r"(slot), [value] "r"(value)      \
                    : "x9", "memory", "cc"                                            \
                    : refused)
  if constexpr (sizeof(Value) == 4) {
    TRI_STORE_BY("stlr %w[value], [%[slot]]\n");
  } else {
    TRI_STORE_BY("stlr %x[value], [%[slot]]\n");
  }
#undef TRI_STORE_BY
  return true;
refused:
  return false;
}
#undef TRI_NAME_SEQUENCE
#endif

#undef TRI_ABORT_SEQUENCE
#undef TRI_DESCRIBE_SEQUENCE

}  // namespace tri::platform
