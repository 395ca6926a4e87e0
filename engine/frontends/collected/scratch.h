// Memory for a call, straight from the operating system: what reads or writes a file needs more
// than a thread's stack may have, and the engine has no malloc.
#pragma once

#include <cstddef>

#include "engine/platform/os.h"

namespace tri::collected {

class Scratch {
 public:
  // `bytes`: a multiple of every hardware page.
  explicit Scratch(size_t bytes) : bytes_(bytes) {
    const platform::Os& os = platform::linux_os();
    data_ = static_cast<char*>(os.reserve(bytes, os.page_bytes));
    if (data_ == nullptr || os.commit(data_, bytes)) return;
    os.unreserve(data_, bytes);
    data_ = nullptr;
  }
  ~Scratch() {
    if (data_ != nullptr) platform::linux_os().unreserve(data_, bytes_);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  // nullptr: there was none.
  char* data() const { return data_; }

 private:
  char* data_ = nullptr;
  size_t bytes_;
};

}  // namespace tri::collected
