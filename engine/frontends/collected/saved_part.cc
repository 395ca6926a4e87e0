#include "engine/frontends/collected/saved_part.h"

#include <algorithm>

#include "engine/base/bits.h"
#include "engine/base/check.h"
#include "engine/base/checksum.h"

namespace tri::collected {

bool SavedPart::open(Space& space, int file, const FileHeader& header,
                     platform::FileAccess access) {
  front_bytes_ = header.parts[kLiveBits].offset;
  front_ = static_cast<const char*>(
      platform::map_file(nullptr, front_bytes_, file, 0, platform::FileAccess::kShared, false));
  if (front_ == nullptr) return false;
  std::copy(header.parts, header.parts + kFileParts, parts_);
  kinds_ = reinterpret_cast<const PageKind*>(front_ + parts_[kKinds].offset);
  slots_ = reinterpret_cast<const uint32_t*>(front_ + parts_[kSlots].offset);
  page_count_ = header.page_count;
  type_count_ = header.type_count;
  const auto pages = static_cast<Pages>(round_up(page_count_, kFilePages));
  const MappedPages mapped = {
      .file = file,
      .pages = pages,
      .pages_offset = parts_[kPages].offset,
      .bitmap_offset = parts_[kLiveBits].offset,
      .bitmap_bytes = parts_[kLiveBits].bytes,
      .access = access,
  };
  if (!space.arena.adopt(mapped) || !space.links.adopt_frozen(space.arena, pages)) {
    close();
    return false;
  }
  // A byte per page: copied rather than mapped, because new pages have theirs behind it.
  for (PageId page = 0; page < page_count_; ++page) {
    if (kinds_[page] != kNoRecords) space.arena.set_class(page, 1, kinds_[page]);
  }
  return true;
}

void SavedPart::close() {
  if (front_ == nullptr) return;
  platform::linux_os().unreserve(const_cast<char*>(front_), front_bytes_);
  front_ = nullptr;
  page_count_ = 0;
}

FileResult SavedPart::check_roots() const {
  Checksum checksum;
  checksum.update(roots(), parts_[kKinds].offset - parts_[kRoots].offset);
  if (checksum.value() == parts_[kRoots].checksum) return {};
  return {FileFault::kDamaged, kRoots};
}

SavedSpan SavedPart::span_of(PageId page) const {
  TRI_ASSERT(page < page_count_ && kinds_[page] != kNoRecords);
  const PageId first = span_begin(page);
  PageId end = page + 1;
  while (end < page_count_ && slots_[end] == 0 && kinds_[end] != kNoRecords) ++end;
  return {first, end - first, slots_[first]};
}

}  // namespace tri::collected
