// A heap as a file: what lies where, and whether a file is whole.
//
//   header          512 bytes in every version: magic, version, sizes, where the parts are
//   declarations    text of whoever saved: classes, names of roots; the engine does not read it
//   roots           references, arrays of them one after another
//   kinds           a byte per page: its record type, as in the class table
//   slots           4 bytes per page: granules per slot on a span's first page, 0 on its others
//   live bits       64 bytes per page, downwards as in memory: page 0's at the end
//   pages           as they lie, from the base on; free ones are holes, dead records zeros
//
// References count granules from the base, so the pages mean the same wherever they are mapped.
// Live bits and pages begin where every hardware page can; they are mapped where the arena has its
// own.
//
// Every byte counts: a part's checksum covers it up to the beginning of the next one, the header's
// the header, and the header says how long the file is.
//
// What memory safety rests on is summed before it is used: header, declarations, kinds, slots and
// live bits, 1 % of the file, before anything is mapped; roots when one is first asked for, because
// they may be a quarter of it. Pages are summed on request only, so whoever follows a reference in
// them asks CollectedHeap::is_live() first.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/base/tunables.h"
#include "engine/frontends/collected/layout.h"

namespace tri::collected {

// Version 2 says how wide its references are. Files with 32 bits are still written as version 1,
// whose are: what knows no other opens them.
inline constexpr uint32_t kFileVersion = 2;
inline constexpr uint32_t kOldestFileVersion = kWideReferences ? 2 : 1;
inline constexpr char kFileMagic[8] = {'\x89', 'T', 'M', 'H', '\r', '\n', '\x1a', '\n'};
// No hardware page is larger.
inline constexpr size_t kFileAlignment = 64 * tunable::kKiB;
inline constexpr Pages kFilePages = kFileAlignment >> kPageShift;

enum FilePart : uint8_t { kDeclarations, kRoots, kKinds, kSlots, kLiveBits, kPages, kFileParts };

struct FilePartEntry {
  uint64_t offset = 0;
  uint64_t bytes = 0;     // without what fills it up
  uint64_t checksum = 0;  // with it
};

struct FileHeader {
  char magic[8] = {};
  uint32_t version = 0;
  uint32_t page_bytes = 0;
  uint32_t granule_bytes = 0;
  uint32_t page_count = 0;
  uint32_t type_count = 0;
  uint32_t reference_bytes = 0;  // from version 2 on
  uint64_t file_bytes = 0;
  FilePartEntry parts[kFileParts];
  char more[320] = {};
  uint64_t checksum = 0;  // of all before it

  unsigned reference_bits() const { return version == 1 ? 32 : 8 * reference_bytes; }
  uint64_t part_end(unsigned part) const {
    return part + 1 == kFileParts ? file_bytes : parts[part + 1].offset;
  }
};
static_assert(sizeof(FileHeader) == 512, "part of the format");

// What is wrong with a file.
enum class FileFault : uint8_t {
  kWhole,
  kSystem,   // the operating system refused: `error`
  kForeign,  // no saved heap
  kNewer,    // a later version's
  kLength,   // cut off, or with something behind its end
  kDamaged,  // a checksum, or what the header says, is wrong: in `part`, kFileParts is the header
  kNoMemory,
  kOtherWidth,  // its references are not as wide as those of this library
};
struct FileResult {
  FileFault fault = FileFault::kWhole;
  FilePart part = kFileParts;
  int error = 0;

  bool ok() const { return fault == FileFault::kWhole; }
  static FileResult system(long error) {
    return {FileFault::kSystem, kFileParts, static_cast<int>(-error)};
  }
};

// Reads the header alone: what any library of this version can say of a file.
FileResult read_header(int file, FileHeader* header);
// Reads the header, and sums the tables; roots and pages, too, when `everything` is wanted.
FileResult check_file(int file, bool everything, FileHeader* header);

}  // namespace tri::collected
