#include "engine/frontends/pools/shared_blocks.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>

#include "engine/base/bits.h"

namespace tri::pools {

static_assert(std::atomic<ProcessIdentity>::is_always_lock_free,
              "words that processes share must not have a lock of one process behind them");

struct SharedBlocks::Header {
  uint64_t magic;
  uint32_t version;
  uint32_t header_bytes;
  uint64_t block_bytes;
  uint64_t stride;
  uint64_t count;
  uint64_t blocks_offset;
  // Hints. Who waits adds itself; one that dies waiting leaves the count too high, which costs each
  // giver a system call.
  std::atomic<uint32_t> gifts;
  std::atomic<uint32_t> waiters;
  std::atomic<uint64_t> look_first;
  std::atomic<uint64_t> reclaimed;
};

namespace {

constexpr uint64_t kMagic = 0x4c4f4f5049525401;  // "\1TRIPOOL", little-endian
constexpr uint32_t kVersion = 1;
constexpr size_t kHeaderBytes = 128;
constexpr size_t kPage = 4096;
constexpr size_t kMaxBytes = size_t{1} << 46;
// Processes whose life a pass of reclaim() remembers.
constexpr unsigned kRemembered = 16;

// --- processes --------------------------------------------------------------------------------

struct ProcessState {
  bool known = false;
  char state = '?';
  uint32_t started = 0;  // ticks since boot, low half
};

// From /proc/PID/stat: the third word, and the twenty-second; the second may have spaces in it.
ProcessState read_state(int32_t process_id) {
  ProcessState found;
  char path[32];
  // Digits by hand: no stdio where a block may be given back.
  char digits[12];
  unsigned length = 0;
  for (auto rest = static_cast<uint32_t>(process_id); rest != 0 || length == 0; rest /= 10) {
    digits[length++] = static_cast<char>('0' + rest % 10);
  }
  size_t at = sizeof "/proc/" - 1;
  std::memcpy(path, "/proc/", at);
  while (length != 0) path[at++] = digits[--length];
  std::memcpy(path + at, "/stat", sizeof "/stat");

  const int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return found;
  char text[1024];
  const ssize_t bytes = read(file, text, sizeof text - 1);
  close(file);
  if (bytes <= 0) return found;
  text[bytes] = '\0';
  const char* word = std::strrchr(text, ')');
  if (word == nullptr || word[1] == '\0') return found;
  found.state = word[2];
  for (int i = 0; i < 20 && word != nullptr; ++i) {
    word = std::strchr(word, ' ');
    if (word != nullptr) ++word;
  }
  if (word == nullptr) return found;
  found.started = static_cast<uint32_t>(std::strtoull(word, nullptr, 10));
  found.known = true;
  return found;
}

std::atomic<ProcessIdentity> g_own{kNobody};

void forget_own() { g_own.store(kNobody, std::memory_order_relaxed); }

ProcessIdentity find_own() {
  static const int watched = pthread_atfork(nullptr, nullptr, forget_own);
  (void)watched;
  const int32_t process_id = getpid();
  const ProcessState state = read_state(process_id);
  const ProcessIdentity own = (uint64_t{static_cast<uint32_t>(process_id)} << 32) | state.started;
  g_own.store(own, std::memory_order_relaxed);
  return own;
}

// --- futexes between processes: without FUTEX_PRIVATE_FLAG ------------------------------------

void wait_on(std::atomic<uint32_t>* word, uint32_t expected, uint32_t ms) {
  const timespec timeout = {.tv_sec = static_cast<time_t>(ms / 1000),
                            .tv_nsec = static_cast<long>(ms % 1000) * 1000000};
  syscall(SYS_futex, word, FUTEX_WAIT, expected, &timeout, nullptr, 0);
}

void wake_one(std::atomic<uint32_t>* word) {
  syscall(SYS_futex, word, FUTEX_WAKE, 1, nullptr, nullptr, 0);
}

size_t blocks_offset_for(size_t count, size_t alignment) {
  const size_t page = alignment > kPage ? alignment : kPage;
  return round_up(kHeaderBytes + count * sizeof(ProcessIdentity), page);
}

}  // namespace

ProcessIdentity own_identity() {
  const ProcessIdentity own = g_own.load(std::memory_order_relaxed);
  return __builtin_expect(own != kNobody, 1) ? own : find_own();
}

bool is_alive(ProcessIdentity process) {
  if (process == own_identity()) return true;
  const int32_t process_id = process_id_of(process);
  if (process_id <= 0) return false;
  if (kill(process_id, 0) != 0 && errno == ESRCH) return false;
  // What may not be looked at is taken to live.
  const ProcessState state = read_state(process_id);
  if (!state.known) return true;
  return state.started == static_cast<uint32_t>(process) && state.state != 'Z' &&
         state.state != 'X';
}

// --- the mapping ------------------------------------------------------------------------------

size_t SharedBlocks::bytes_for(size_t block_bytes, size_t alignment, size_t count) {
  if (block_bytes == 0 || count == 0 || !is_power_of_two(alignment)) return 0;
  if (block_bytes > kMaxBytes || alignment > kMaxBytes || count > kMaxBytes) return 0;
  size_t bytes = 0;
  if (__builtin_mul_overflow(round_up(block_bytes, alignment), count, &bytes)) return 0;
  return bytes > kMaxBytes ? 0 : blocks_offset_for(count, alignment) + bytes;
}

void SharedBlocks::format(void* memory, size_t block_bytes, size_t alignment, size_t count) {
  static_assert(sizeof(Header) <= kHeaderBytes);
  auto* header = new (memory) Header{};
  header->version = kVersion;
  header->header_bytes = kHeaderBytes;
  header->block_bytes = block_bytes;
  header->stride = round_up(block_bytes, alignment);
  header->count = count;
  header->blocks_offset = blocks_offset_for(count, alignment);
  header->magic = kMagic;
}

const char* SharedBlocks::find_fault(const void* memory, size_t bytes) {
  if (bytes < kHeaderBytes) return "it is too short";
  Header header;
  std::memcpy(static_cast<void*>(&header), memory, sizeof header);
  if (header.magic != kMagic) return "it is something else";
  if (header.version != kVersion || header.header_bytes != kHeaderBytes) {
    return "another version of trimalloc made it";
  }
  size_t blocks = 0;
  const bool sizes =
      header.count != 0 && header.block_bytes != 0 && header.stride != 0 &&
      header.block_bytes <= header.stride &&
      header.count <= (bytes - kHeaderBytes) / sizeof(ProcessIdentity) &&
      header.blocks_offset <= bytes &&
      header.blocks_offset >= kHeaderBytes + header.count * sizeof(ProcessIdentity) &&
      !__builtin_mul_overflow(header.count, header.stride, &blocks) &&
      blocks <= bytes - header.blocks_offset;
  return sizes ? nullptr : "its sizes do not fit: it is damaged or cut off";
}

SharedBlocks::SharedBlocks(void* memory)
    : header_(static_cast<Header*>(memory)),
      owners_(reinterpret_cast<std::atomic<ProcessIdentity>*>(static_cast<char*>(memory) +
                                                              kHeaderBytes)),
      blocks_(static_cast<char*>(memory) + header_->blocks_offset),
      stride_(header_->stride),
      count_(header_->count),
      block_bytes_(header_->block_bytes) {}

// --- take and give ----------------------------------------------------------------------------

void* SharedBlocks::take_free(ProcessIdentity me) {
  size_t index = header_->look_first.load(std::memory_order_relaxed) % count_;
  for (size_t i = 0; i < count_; ++i) {
    ProcessIdentity free = kNobody;
    // Acquire: what who had it before wrote is there.
    if (owners_[index].load(std::memory_order_relaxed) == kNobody &&
        owners_[index].compare_exchange_strong(free, me, std::memory_order_acquire,
                                               std::memory_order_relaxed)) {
      header_->look_first.store(index + 1, std::memory_order_relaxed);
      return block_at(index);
    }
    index = index + 1 == count_ ? 0 : index + 1;
  }
  return nullptr;
}

void* SharedBlocks::take() {
  const ProcessIdentity me = own_identity();
  if (void* block = take_free(me)) return block;
  return reclaim() != 0 ? take_free(me) : nullptr;
}

void* SharedBlocks::take_within(uint32_t ms) {
  // Comes before the giver's look at the word, and is seen; or after, and sees its block.
  header_->waiters.fetch_add(1);
  const uint32_t gifts = header_->gifts.load();
  void* block = take();
  if (block == nullptr && ms != 0) {
    wait_on(&header_->gifts, gifts, ms);
    block = take();
  }
  header_->waiters.fetch_sub(1);
  return block;
}

void SharedBlocks::announce() {
  if (header_->waiters.fetch_add(0) == 0) return;
  header_->gifts.fetch_add(1);
  wake_one(&header_->gifts);
}

bool SharedBlocks::give(size_t index) {
  ProcessIdentity me = own_identity();
  if (!owners_[index].compare_exchange_strong(me, kNobody, std::memory_order_release,
                                              std::memory_order_relaxed)) {
    return false;
  }
  header_->look_first.store(index, std::memory_order_relaxed);
  announce();
  return true;
}

bool SharedBlocks::accept(size_t index, ProcessIdentity from) {
  return index < count_ && from != kNobody &&
         owners_[index].compare_exchange_strong(from, own_identity(), std::memory_order_acq_rel,
                                                std::memory_order_relaxed);
}

size_t SharedBlocks::reclaim() {
  ProcessIdentity living[kRemembered] = {};
  unsigned next = 0;
  size_t freed = 0;
  const auto lives = [&](ProcessIdentity one) {
    for (const ProcessIdentity known : living) {
      if (known == one) return true;
    }
    if (!is_alive(one)) return false;
    living[next++ % kRemembered] = one;
    return true;
  };
  for (size_t index = 0; index < count_; ++index) {
    ProcessIdentity owner = owners_[index].load(std::memory_order_relaxed);
    if (owner == kNobody || lives(owner)) continue;
    if (!owners_[index].compare_exchange_strong(owner, kNobody, std::memory_order_acq_rel,
                                                std::memory_order_relaxed)) {
      continue;  // somebody else has taken it back
    }
    ++freed;
    header_->reclaimed.fetch_add(1, std::memory_order_relaxed);
    announce();
  }
  return freed;
}

ProcessIdentity SharedBlocks::owner_of(size_t index) const {
  return owners_[index].load(std::memory_order_acquire);
}

size_t SharedBlocks::count_taken() const {
  size_t taken = 0;
  for (size_t i = 0; i < count_; ++i) {
    taken += owners_[i].load(std::memory_order_relaxed) != kNobody ? 1 : 0;
  }
  return taken;
}

uint64_t SharedBlocks::count_reclaimed() const {
  return header_->reclaimed.load(std::memory_order_relaxed);
}

}  // namespace tri::pools
