#include "engine/frontends/collected/heap_file.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "engine/base/bits.h"
#include "engine/base/checksum.h"
#include "engine/frontends/collected/scratch.h"
#include "engine/platform/file.h"

namespace tri::collected {
namespace {

// Read at a time: fits the second-level cache, few system calls.
constexpr size_t kReadBytes = 256 * tunable::kKiB;

// Whether the parts are as long as they must be and follow each other.
bool is_consistent(const FileHeader& header) {
  if (header.version == 0 || header.page_bytes != kPageBytes ||
      header.granule_bytes != kGranuleBytes || header.type_count > kMaxRecordTypes) {
    return false;
  }
  const uint64_t pages = header.page_count;
  if (pages == 0 || pages > kMaxHeapBytes >> kPageShift) return false;
  const FilePartEntry* const parts = header.parts;
  uint64_t at = sizeof header;
  for (unsigned i = 0; i < kFileParts; ++i) {
    if (parts[i].offset < at || parts[i].offset % 8 != 0) return false;
    if (parts[i].bytes > header.file_bytes - std::min(parts[i].offset, header.file_bytes)) {
      return false;
    }
    at = parts[i].offset + parts[i].bytes;
  }
  return at == header.file_bytes && parts[kDeclarations].offset == sizeof header &&
         parts[kKinds].bytes == pages && parts[kSlots].bytes == pages * sizeof(uint32_t) &&
         parts[kLiveBits].offset % kFileAlignment == 0 &&
         parts[kLiveBits].bytes == round_up(pages * kBitmapBytesPerPage, kFileAlignment) &&
         parts[kPages].offset == parts[kLiveBits].offset + parts[kLiveBits].bytes &&
         parts[kPages].bytes == round_up(pages * kPageBytes, kFileAlignment) &&
         parts[kRoots].bytes % sizeof(Reference) == 0;
}

FileResult check_part(int file, const FileHeader& header, FilePart part, const Scratch& buffer) {
  Checksum checksum;
  const uint64_t end = header.part_end(part);
  for (uint64_t at = header.parts[part].offset; at < end;) {
    const auto step = static_cast<size_t>(std::min<uint64_t>(kReadBytes, end - at));
    const long got = platform::read_file(file, buffer.data(), step, at);
    if (got < 0) return FileResult::system(got);
    if (static_cast<size_t>(got) != step) return {FileFault::kLength};
    checksum.update(buffer.data(), step);
    at += step;
  }
  if (checksum.value() != header.parts[part].checksum) return {FileFault::kDamaged, part};
  return {};
}

}  // namespace

FileResult read_header(int file, FileHeader* header) {
  const long size = platform::file_bytes(file);
  if (size < 0) return FileResult::system(size);
  const long got = platform::read_file(file, header, sizeof *header, 0);
  if (got < 0) return FileResult::system(got);
  const size_t known = std::min(static_cast<size_t>(got), sizeof header->magic);
  if (std::memcmp(header->magic, kFileMagic, known) != 0) return {FileFault::kForeign};
  if (static_cast<size_t>(got) < sizeof *header) return {FileFault::kLength};
  Checksum checksum;
  checksum.update(header, offsetof(FileHeader, checksum));
  if (checksum.value() != header->checksum) return {FileFault::kDamaged};
  if (header->version > kFileVersion) return {FileFault::kNewer};
  if (header->file_bytes != static_cast<uint64_t>(size)) return {FileFault::kLength};
  return {};
}

FileResult check_file(int file, bool everything, FileHeader* header) {
  FileResult result = read_header(file, header);
  if (!result.ok()) return result;
  if (header->reference_bits() != 8 * sizeof(Reference)) return {FileFault::kOtherWidth};
  if (!is_consistent(*header)) return {FileFault::kDamaged};
  const Scratch buffer(kReadBytes);
  if (buffer.data() == nullptr) return {FileFault::kNoMemory};
  for (unsigned part = 0; result.ok() && part < kFileParts; ++part) {
    if (!everything && (part == kRoots || part == kPages)) continue;
    result = check_part(file, *header, static_cast<FilePart>(part), buffer);
  }
  return result;
}

}  // namespace tri::collected
