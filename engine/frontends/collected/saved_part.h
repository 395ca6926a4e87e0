// The part of a heap that comes from a file: its first pages. They are mapped, not read, and
// permanent: never marked, never swept, their free slots never used. There is no span structure for
// them; which span a page belongs to is in the file's table of slots.
//
// Whoever stores into a record of this part (in a private mapping) makes its page a root, as with
// frozen records.
#pragma once

#include <cstdint>

#include "engine/frontends/collected/heap_file.h"
#include "engine/frontends/collected/space.h"
#include "engine/platform/file.h"

namespace tri::collected {

// A span as the file knows it.
struct SavedSpan {
  PageId first = 0;
  Pages pages = 0;
  uint32_t slot_granules = 0;
};

class SavedPart {
 public:
  // Maps a file that check_file has found whole as the beginning of a space in which there is
  // nothing yet. False when the system refuses, or the space is too small.
  bool open(Space& space, int file, const FileHeader& header, platform::FileAccess access);
  // What was mapped outside the space.
  void close();

  bool contains(Reference reference) const { return page_of(reference) < page_count_; }
  // Pages of the file; the heap's own begin at the next multiple of kFilePages.
  Pages page_count() const { return page_count_; }
  uint32_t type_count() const { return type_count_; }

  const char* declarations() const { return front_ + parts_[kDeclarations].offset; }
  size_t declaration_bytes() const { return parts_[kDeclarations].bytes; }
  // Before roots are used for the first time: whether they are as they were saved.
  FileResult check_roots() const;
  // What root records and batches refer to, as one array. They do not change.
  const Reference* roots() const {
    return reinterpret_cast<const Reference*>(front_ + parts_[kRoots].offset);
  }
  size_t root_count() const { return parts_[kRoots].bytes / sizeof(Reference); }

  bool has_root_at(const Reference* slot) const {
    return root_count() != 0 && slot >= roots() && slot < roots() + root_count();
  }

  // On which page the span of a page that has records begins, and how long its slots are.
  PageId span_begin(PageId page) const {
    while (slots_[page] == 0) --page;
    return page;
  }
  uint32_t slot_granules(PageId begin) const { return slots_[begin]; }
  // The span of a page that has records.
  SavedSpan span_of(PageId page) const;
  // Calls `visit(span)` for each span, by address.
  template <typename Visitor>
  void for_each_span(Visitor visit) const {
    for (PageId page = 0; page < page_count_;) {
      if (slots_[page] == 0) {
        ++page;
        continue;
      }
      const SavedSpan span = span_of(page);
      visit(span);
      page += span.pages;
    }
  }

 private:
  const char* front_ = nullptr;  // of the file, up to the live bits
  size_t front_bytes_ = 0;
  const uint32_t* slots_ = nullptr;  // by page
  const PageKind* kinds_ = nullptr;
  Pages page_count_ = 0;
  uint32_t type_count_ = 0;
  FilePartEntry parts_[kFileParts];
};

}  // namespace tri::collected
