#include "engine/platform/processor.h"

#include <sys/auxv.h>

#include "engine/platform/syscalls.h"

// glibc's word on the area that it registers for each thread, since 2.35; zero bytes when it did
// not, as GLIBC_TUNABLES=glibc.pthread.rseq=0 asks. Older ones and other libcs have no such names.
extern "C" {
[[gnu::weak]] extern const ptrdiff_t __rseq_offset;
[[gnu::weak]] extern const unsigned int __rseq_size;
}

namespace tri::platform {
namespace {

// struct rseq in <linux/rseq.h>; the header of a machine may be older than its kernel.
constexpr ptrdiff_t kStretch = 8;  // rseq_cs; cpu_id stands at 4, mm_cid at 24
constexpr unsigned long kUpToConcurrency = 28;
constexpr unsigned long kFeatureSize = 27;  // AT_RSEQ_FEATURE_SIZE, which bytes the kernel fills

// <linux/membarrier.h> of Linux 5.10.
constexpr long kRestart = 1 << 7;   // MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ
constexpr long kRegister = 1 << 8;  // MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ

constexpr unsigned kMaskBits = 8192;  // the largest CONFIG_NR_CPUS of x86-64

// The kernel writes as many bytes of its mask as its processors' numbers need.
unsigned possible_processors() {
  unsigned char mask[kMaskBits / 8];
  const long bytes = system_call(SYS_sched_getaffinity, 0, sizeof mask, as_long(mask));
  return bytes <= 0 ? kMaskBits + 1 : static_cast<unsigned>(bytes) * 8;
}

}  // namespace

bool find_processor_area(ProcessorArea* area, unsigned most, Numbers best) {
  if (&__rseq_offset == nullptr || &__rseq_size == nullptr || __rseq_size == 0) return false;
  // glibc registers 32 bytes at least, whatever __rseq_size says is of use: mm_cid lies in them.
  const bool has_concurrency = ::getauxval(kFeatureSize) >= kUpToConcurrency;
  *area = {__rseq_offset + kStretch, Numbers::kProcessor};
  const bool registered = current_processor(*area) >= 0;
  if (has_concurrency) area->numbers = best;
  return registered && possible_processors() <= most &&
         system_call(SYS_membarrier, kRegister) == 0 && restart_sequences();
}

bool restart_sequences() { return system_call(SYS_membarrier, kRestart) == 0; }

}  // namespace tri::platform
