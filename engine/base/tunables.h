// Every constant that somebody might want to turn, with its unit, its reason and how to override
// it. Geometry of the size classes is in central/size_classes.h, where static_asserts hold it
// together.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tri::tunable {

inline constexpr size_t kKiB = 1024;
inline constexpr size_t kMiB = 1024 * kKiB;
inline constexpr size_t kGiB = 1024 * kMiB;
inline constexpr size_t kTiB = 1024 * kGiB;

// --- the arena ------------------------------------------------------------------------------

// Address range asked for at start, halved until the OS gives it. Only addresses: nothing is
// committed. 1 TiB is 1/128 of a 47-bit address space and more memory than a process will have.
// Override: TRIMALLOC_ARENA.
inline constexpr size_t kArenaBytes = kTiB;
// Page numbers are 32 bits; half of that leaves room for sums of two.
inline constexpr size_t kMaxArenaBytes = 16 * kTiB;
// Below this the range is useless; start-up fails and libc is told there is no memory.
inline constexpr size_t kMinArenaBytes = 16 * kMiB;
// The arena grows by 1/8 of itself, within these bounds: few system calls for large heaps, little
// charged against vm.overcommit_memory=2 for small ones.
inline constexpr size_t kMinGrowthBytes = 2 * kMiB;
inline constexpr size_t kMaxGrowthBytes = 64 * kMiB;
// The per-page tables are committed ahead for this much arena, so that a growing heap makes one
// system call per table and 32 MiB.
inline constexpr size_t kTableStepBytes = 32 * kMiB;
// Metadata is taken from the OS in these steps.
inline constexpr size_t kMetadataStepBytes = 64 * kKiB;

// --- large objects --------------------------------------------------------------------------

// realloc moves a block of at least this size by remapping its pages. Under it the copy is cheaper
// than the system call and the TLB flush.
inline constexpr size_t kRemapBytes = 1 * kMiB;
// And only where more than this part has no memory: what has, would be dropped for it. Two lists
// that grow in turns to 16 MiB, again and again (bench/micro/growth.c), took 70 us a step instead
// of 81 by that, bench/python/growth.py 13 % less time.
inline constexpr uint32_t kRemapReleasedPart = 8;
// A moved block is a mapping of the kernel's by itself, and splits another one. When it is freed,
// so many may stay that way, with their memory, until everything free is given back; a process may
// have 65530 in all (DEFAULT_MAX_MAP_COUNT in include/linux/mm.h).
inline constexpr uint32_t kMaxKeptMappings = 256;
// And so many blocks may live in such mappings.
inline constexpr uint32_t kMaxRemapped = 8192;
// A block that grows, and a large one that does so for the second time, gets as much untouched
// address space behind it as it has pages, up to this.
inline constexpr size_t kMaxHeadroomBytes = 1 * kGiB;
// What a block is copied to is populated in steps of this: the kernel's lock on the address space
// is held for each, and a fork, or a heap that grows, waits for it.
inline constexpr size_t kPopulateStepBytes = 2 * kMiB;
// calloc of a block that was in use asks the kernel (mincore) from here on which of its pages have
// memory, and by that and by trials (malloc/zeroing_habit.h) gives them back or clears them:
// clearing a MiB takes 20-75 us, giving it back and touching all of it again 350 us, and asking
// 3 us.
inline constexpr size_t kCallocLookBytes = 256 * kKiB;
// From here on it gives back without asking: a program that touches only a part is likely.
inline constexpr size_t kCallocReleaseBytes = 256 * kMiB;
// calloc from here on takes whole pages from the page heap, which knows whether they read as zero.
inline constexpr size_t kWholePagesBytes = 32 * kKiB;
// What realloc enlarges past this becomes whole pages, which grow where they lie, and stays that
// down to here. Growth by a quarter to 32 KiB takes 67 ns a step with it, 138 with 32 KiB (glibc
// 11), and bench/python/growth.py 7 % less time and memory; with 8 KiB 36 ns, but a program that
// keeps lists of 8-16 KiB has 6 % more memory.
inline constexpr size_t kResizedPagesBytes = 16 * kKiB;
// realloc to a smaller size splits off the tail when it has at least this many bytes, or 1/8 of the
// block: less is not worth a free span.
inline constexpr size_t kShrinkTailBytes = 64 * kKiB;

// Of a tail from this size on realloc asks whether it was ever written: of its end, 0.3 us, and of
// all of it if that hardly has memory, 3 us a MiB. With no more than that part of it written, it is
// given back: to load 500 MiB that were just pickled peaked a fifth higher.
inline constexpr size_t kUntouchedLookBytes = 1 * kMiB;
inline constexpr size_t kUntouchedEndBytes = 64 * kKiB;
inline constexpr size_t kUntouchedPart = 8;

// --- thread caches --------------------------------------------------------------------------

// What all thread caches together may hold. An upper bound: caches start at nothing, grow by use,
// and those of idle threads are emptied. Override: TRIMALLOC_THREAD_CACHE_MAX.
inline constexpr size_t kThreadCacheBudgetBytes = 32 * kMiB;
// One class of one thread's cache holds up to this much, or a batch.
inline constexpr size_t kBinBytes = 64 * kKiB;
// ... and no more than this, or a batch, where slow calls are rare: a cache that misses less does
// nothing for such a program, and z3 peaks 0.7 % lower, clang 0.4 %.
inline constexpr size_t kBinLowBytes = 16 * kKiB;
// While a thread's slow calls cost it time, a class that misses may grow up to this, and this many
// objects: blocks of 1-64 KiB that come and go at random took 48 ns a call with 64 KiB for each
// class, 12 with 1 MiB. Without the condition a cache of such blocks that hardly misses
// (bench/python/expiring_cache.py) would peak 7 % higher.
inline constexpr size_t kBinMaxBytes = 1 * kMiB;
// ... and up to this as far as its misses ask for what it had given away when full: a thousand
// blocks of 8 KiB made and freed took 36 ns each without, 8 with it, and blocks of 1-64 KiB at
// random peak a quarter lower, since fewer spans are taken apart. A program that only makes, or
// only frees, never comes here.
inline constexpr size_t kBinWonBackBytes = 8 * kMiB;
static_assert(kBinWonBackBytes <= kThreadCacheBudgetBytes / 4);
inline constexpr uint32_t kBinMaxObjects = 16383;
// Objects above this size are cached only in classes that had so many slow calls of late. Python at
// its start asks once for many sizes: with a bin for each at once they kept 1.2 of its 6 MiB.
inline constexpr size_t kEagerBinBytes = 1 * kKiB;
inline constexpr uint16_t kBinEvents = 16;
// ... or so many for each of these bytes: to write a block of 100 KiB takes ten times as long as to
// get it without a bin, and what a growing vector leaves behind is not asked for again (minisat
// peaks 1 % lower).
inline constexpr size_t kBinEventBytes = 16 * kKiB;
// Caches of threads that have ended wait for the next ones, so many, as long as they hold no more
// than this together: a thread that makes and frees 1000 blocks of up to 2 KiB takes 40 us instead
// of 55, of which 36 are the thread's own (bench: thread birth). Those that no thread takes are
// emptied like those of idle threads.
inline constexpr uint32_t kMaxVacant = 8;
inline constexpr size_t kVacantBytes = 4 * kMiB;
// A thread looks over its own cache after this many slow calls and halves the classes that had
// none in between.
inline constexpr uint32_t kSweepPeriod = 512;
// When these took no longer than this, slow calls, of about 80 ns, take 2 % of its time: it is
// worth memory to have fewer. When they took longer than that, 0.5 %: not worth it.
inline constexpr uint32_t kHighPaceMs = 2;
inline constexpr uint32_t kLowPaceMs = 8;
// Batches that frees alone let a bin hold, and, while slow calls cost time, that one of them may
// move between threads: two, as a flush should leave as much as it takes, and then eight, which
// halves the time of 1 KiB blocks between threads once more.
inline constexpr uint32_t kBatches = 2;
inline constexpr uint32_t kMaxBatches = 8;

// Batches that a refill may bring while slow calls cost time. Its first lock waits for all that the
// program has written to new blocks: with one batch, 16 blocks of 512 B, that was 38 % of the time
// of a program that makes and drops 100,000 of them.
inline constexpr uint32_t kFetchBatches = 16;
// One of them for so many spans that the class has: 3 % of it, which has no memory before the
// program uses it.
inline constexpr uint32_t kSpansForBatch = 32;

// The pages of a span without memory are populated at once, in a class that has so many spans: a
// third less time than faults take one by one, and up to 3 % of a program that grows
// (MADV_POPULATE_WRITE; bench/suites/programs.py: 12 C programs 1.0 % less time, 0.1 % more
// memory).
inline constexpr uint64_t kPopulateFromSpans = 8;

// A thread keeps one large block of up to this size ...
inline constexpr size_t kKeptBytes = 1 * kMiB;
// ... once it has freed so many in a row that are as long as each other: blocks of sizes that come
// once would be missed by what is asked for next ...
inline constexpr uint8_t kKeptAfter = 8;
// ... and up to so many threads at a time: in a pool of 64 threads with a buffer each, buffers wait
// in the page heap for whoever comes.
inline constexpr uint32_t kMaxKeepers = 4;

// A thread that has freed so many blocks that grew, with few slow calls between (kSweepPeriod) ...
inline constexpr uint8_t kRunwayAfter = 8;
// ... keeps so much of the last one as a runway for the next: growth by a quarter to 32 KiB takes
// 26 ns a step with it, 100 without (glibc 27), to 4 MiB 160 instead of 222 (glibc 130). With
// 128 KiB that would be 2 % less.
inline constexpr size_t kRunwayBytes = 64 * kKiB;
// A block moves there when it grows to this. With 256, growth to 32 KiB takes 22 ns; but a block
// that stops growing early keeps its runway for as long as it lives, and many stop below 512 ...
inline constexpr size_t kRunwayFromBytes = 512;
// ... so the process has that many at most, whoever holds them.
inline constexpr uint32_t kMaxRunways = 4;

// --- transfer cache -------------------------------------------------------------------------

// Objects of one class between threads: an upper bound, because the scavenger gives back what was
// not taken for a delay. With 256 KiB, 1 KiB blocks that one thread makes and another frees, a
// thousand at a time, cost twice as much. Its array of so many pointers is 32 KiB.
inline constexpr size_t kTransferMaxBytes = 1 * kMiB;
inline constexpr uint32_t kTransferMaxObjects = 4096;

// --- giving back ----------------------------------------------------------------------------

// Free pages that were not needed for this long are released. Shorter than a person notices,
// longer than the gap between two requests of a busy server. Override: TRIMALLOC_RELEASE_DELAY_MS.
inline constexpr uint32_t kReleaseDelayMs = 200;
// When what was released is wanted again at once, the delay doubles up to this. Two delays may pass
// before a program that stopped working is noticed, and it is promised to be small within a second.
inline constexpr uint32_t kMaxReleaseDelayMs = 400;
// The scavenger looks this often while there is something to release.
inline constexpr uint32_t kTicksPerDelay = 2;
// A thread that used next to no CPU for this long is idle, and its cache is emptied.
// Override: TRIMALLOC_IDLE_DRAIN_MS.
inline constexpr uint32_t kIdleDrainMs = 400;
// Where at least so many threads hold so much together, a pause of this part of it is enough while
// the process has more memory than ever: on a pool, who pauses comes back to whatever work there
// is, and what it holds is what others take new memory for. A service on 64 threads peaks at 24 MiB
// instead of 31 (bench/python/wide_thread_pool.py). Always, it would cost threads that do nothing
// but allocate, 200 us at a time with 60 to 120 ms between, 25 to 60 % more.
inline constexpr uint32_t kCrowd = 4;
inline constexpr size_t kCrowdBytes = 2 * kMiB;
inline constexpr uint32_t kCrowdPart = 8;
// More than ever: by so much, within this time. The kernel's own count is that exact.
inline constexpr size_t kRiseBytes = 128 * kKiB;
inline constexpr uint32_t kRisingMs = 250;
// Next to none: this part of the time. redis with nothing to do ticks ten times a second and uses
// 1/1000; the objects in its cache kept 40 MiB of spans.
inline constexpr uint32_t kIdlePart = 64;
// Free memory under this is not worth a thread, a wake-up or a system call.
inline constexpr size_t kScavengeFromBytes = 512 * kKiB;
// The background thread does not come back for this long after a fork of a process of one thread,
// so that CPython's check for threads right after fork (Modules/posixmodule.c,
// warn_about_fork_with_threads) finds none.
inline constexpr uint32_t kAfterForkMs = 50;
// At most this much is given back in one system call, so that a fork that waits for it waits for a
// few milliseconds.
inline constexpr size_t kReleaseStepBytes = 32 * kMiB;
// From here on a run is given back by a fresh mapping: that also ends what the program has asked of
// it, as NumPy asks for huge pages under arrays from 4 MiB on, and joins what realloc has moved.
inline constexpr size_t kRefreshBytes = 4 * kMiB;
// Before a fork up to this much is given back: the child's page tables are the smaller for it, and
// the background thread is not there for a moment, or for a while (kAfterForkMs), to do it.
inline constexpr size_t kForkReleaseBytes = 512 * kMiB;
// Pages made resident while others lie free are made up for from this much on ...
inline constexpr size_t kDebtStepBytes = 512 * kKiB;
// ... not more often than this, so that blocks of random sizes that come and go, each in the place
// of another, are not faulted in again and again (churn large: 85 ns an operation, without 550).
// With 10 ms the growth of large buffers peaked 9 % higher, a heap of random survivors 5 % ...
inline constexpr uint32_t kDebtPeriodMs = 3;
// ... as far as more than this lies free, and such a part of the heap: what a busy program frees
// and takes again from moment to moment ...
inline constexpr size_t kDebtSlackBytes = 1 * kMiB;
inline constexpr uint32_t kDebtSlackPart = 64;
// ... and, up to this part of it, two of the largest blocks that came back of late. Without these,
// blocks of 5-25 MiB of which twenty live take 1.4 times as long (mimalloc-bench's
// malloc-large: 2.0 million page faults instead of 0.9). An eighth for every heap would do the
// same, but a cache of small blocks (bench/python/expiring_cache.py) would peak 2 % higher. A block
// larger than that part counts for nothing: there is no room for another like it, and a few large
// buffers that grow (bench/python/growth.py) would peak 8 % higher when they happen to move.
inline constexpr uint32_t kDebtLargeSlackPart = 8;
// A heap that is larger than it has ever been pays at once, from so much on, and keeps only so much
// free, and half the room for large blocks: a steady load does not come back for those pages, and a
// peak is what memory is bought for. Large buffers that grow peak 5 % lower by it
// (bench/python/growth.py), Lua's trees 2 %. A step takes as long to fault in as one to give back,
// 10 us. What is about to be paid counts for the peak: otherwise a cache of blocks of many sizes
// (bench/python/expiring_cache.py) would peak 3 % lower still, but give back and take again for a
// tenth of its time.
inline constexpr size_t kPeakStepBytes = 128 * kKiB;
inline constexpr size_t kPeakSlackBytes = 128 * kKiB;
// Spans of which less than half is in use are taken in the order of their addresses: a list that is
// made after a heap was thinned out is walked in 5.0 ns a node instead of 5.6 (bench: walk
// churned). They are sorted when so many have come since the last time, and this part of the class:
// sorting takes 12 ns a span, so at most 100 ns for each that came. And only while the class has so
// many: its lock is held for 0.1 ms, 1 ms where the spans are in no cache.
inline constexpr uint32_t kSortFrom = 64;
inline constexpr uint32_t kSortPart = 8;
inline constexpr uint32_t kSortMaxSpans = 8192;
// Holes (central/holes.cc) are looked for in a class when so much has come back since the last
// time, and this part of the class: a pass reads every span's bits. A small heap has no more of any
// class: with 256 KiB minisat peaks 6 % higher.
inline constexpr size_t kHolesFromBytes = 16 * kKiB;
inline constexpr size_t kHolesFromPart = 64;
// A program at work gives up what its spans had to spare for this long.
inline constexpr uint32_t kHolesPeriodMs = 1000;
// Debts are paid with holes only from classes in which this much lies free.
inline constexpr size_t kHolesDebtBytes = 1 * kMiB;

// --- huge pages (pages/huge_pages.h) ----------------------------------------------------------

// A heap of fewer than so many stretches of 2 MiB, 32 MiB, gains next to nothing: translations of
// 4 KiB for 6 MiB and more are in the processor's second cache of them.
inline constexpr size_t kHugePagesFrom = 16;
// What has been full at two looks so far apart stays: free pages go back after kReleaseDelayMs.
inline constexpr uint32_t kHugePassMs = 1000;
// Every so many passes those are looked at, too, that are huge pages already: the kernel takes one
// apart when it is written after a fork, or swapped. Where it has not, nothing is copied.
inline constexpr uint64_t kHugeAgain = 64;
// Making them, and looking for what to make, takes at most this part of the CPU time that the
// program uses: one that runs for seconds pays next to nothing, one that runs for minutes has them
// all soon.
inline constexpr uint32_t kHugeCpuPart = 50;
// And so much at a time, since what is free waits meanwhile for being given back.
inline constexpr uint64_t kHugeLookNs = 5'000'000;
// When the kernel has refused so many in a row, because its memory is in pieces or by the will of
// the machine's owner, the next is tried after so long.
inline constexpr unsigned kHugeRefusals = 8;
inline constexpr uint64_t kHugePauseMs = 60'000;

// --- the background thread --------------------------------------------------------------------

// Stack of the background thread: it calls nothing deep.
inline constexpr size_t kBackgroundStackBytes = 256 * kKiB;

// --- pools ----------------------------------------------------------------------------------

// What a pool takes from the page heap at a time unless it is told otherwise: large enough to be
// given back by itself, small enough to be idle now and then.
inline constexpr size_t kPoolChunkBytes = 1 * kMiB;
// A block, its alignment or a chunk beyond this is a mistake.
inline constexpr size_t kPoolMaxBytes = 1 * kTiB;
// One processor keeps up to this much of a pool, and so many blocks: NumPy's and sockets' buffers
// of 64 KiB eight at a time.
inline constexpr size_t kPoolShardBytes = 512 * kKiB;
inline constexpr uint32_t kPoolShardBlocks = 64;

}  // namespace tri::tunable
