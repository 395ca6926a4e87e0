// Writes a saved heap from front to end, once: bytes go through a buffer, and what is in the buffer
// is what is summed and written. So a number that another thread changes meanwhile cannot make the
// checksum wrong.
//
// The first failure is kept, and from then on nothing is written.
#pragma once

#include <algorithm>
#include <cstring>

#include "engine/base/bits.h"
#include "engine/base/checksum.h"
#include "engine/frontends/collected/heap_file.h"
#include "engine/frontends/collected/scratch.h"
#include "engine/platform/file.h"

namespace tri::collected {

class HeapFileWriter {
 public:
  explicit HeapFileWriter(int file) : file_(file), buffer_(kBufferBytes) {
    if (buffer_.data() == nullptr) result_ = {FileFault::kNoMemory};
  }

  // From here on everything belongs to `part`.
  void begin(FilePart part) {
    finish_part();
    part_ = part;
    header_.parts[part].offset = at_;
    checksum_ = Checksum();
  }
  // The part has all it is to have; what follows fills it up.
  void end_of_part() { header_.parts[part_].bytes = at_ + held_ - header_.parts[part_].offset; }
  void align(size_t bytes) { put_zeros(round_up(at_ + held_, bytes) - (at_ + held_)); }

  void put(const void* data, size_t bytes) {
    const char* from = static_cast<const char*>(data);
    while (bytes != 0 && result_.ok()) {
      const size_t step = std::min(bytes, kMostRoom);
      std::memcpy(room(step), from, step);
      from += step;
      bytes -= step;
    }
  }
  void put_zeros(size_t bytes) {
    while (bytes != 0 && result_.ok()) {
      const size_t step = std::min(bytes, kMostRoom);
      std::memset(room(step), 0, step);
      bytes -= step;
    }
  }
  // The next `bytes`, at most kMostRoom, to be filled by the caller. After a failure they go
  // nowhere. nullptr: there never was a buffer.
  static constexpr size_t kMostRoom = 64 * tunable::kKiB;
  char* room(size_t bytes) {
    if (held_ + bytes > kBufferBytes) flush();
    char* const place = buffer_.data() + held_;
    held_ += bytes;
    return place;
  }
  // Zeros that take no place in the file.
  void skip(uint64_t bytes) {
    flush();
    checksum_.update_zeros(bytes);
    at_ += bytes;
  }

  // The last step: the header. The file is as long as it has become.
  FileResult finish(uint32_t pages, uint32_t types) {
    finish_part();
    std::memcpy(header_.magic, kFileMagic, sizeof kFileMagic);
    header_.version = kOldestFileVersion;
    if (kOldestFileVersion > 1) header_.reference_bytes = sizeof(Reference);
    header_.page_bytes = kPageBytes;
    header_.granule_bytes = kGranuleBytes;
    header_.page_count = pages;
    header_.type_count = types;
    header_.file_bytes = at_;
    Checksum checksum;
    checksum.update(&header_, offsetof(FileHeader, checksum));
    header_.checksum = checksum.value();
    if (result_.ok()) note(platform::resize_file(file_, at_));
    if (result_.ok()) note(platform::write_file(file_, &header_, sizeof header_, 0));
    return result_;
  }
  bool failed() const { return !result_.ok(); }

 private:
  static constexpr size_t kBufferBytes = 256 * tunable::kKiB;

  void note(long error) {
    if (error < 0) result_ = FileResult::system(error);
  }
  void flush() {
    if (held_ == 0) return;
    checksum_.update(buffer_.data(), held_);
    if (result_.ok()) note(platform::write_file(file_, buffer_.data(), held_, at_));
    at_ += held_;
    held_ = 0;
  }
  void finish_part() {
    flush();
    if (part_ != kFileParts) header_.parts[part_].checksum = checksum_.value();
  }

  const int file_;
  const Scratch buffer_;
  size_t held_ = 0;
  uint64_t at_ = sizeof(FileHeader);  // of the buffer's beginning
  FilePart part_ = kFileParts;
  Checksum checksum_;
  FileHeader header_;
  FileResult result_;
};

}  // namespace tri::collected
