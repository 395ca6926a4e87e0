// Text into a fixed buffer, without allocation, locale or errno: what error lines, reports and
// malloc_info are written with. What does not fit is cut off; the text always ends with a NUL.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tri {

class Text {
 public:
  Text(char* buffer, size_t bytes) : begin_(buffer), bytes_(bytes) { begin_[0] = '\0'; }

  Text& put(const char* words) {
    while (*words != '\0') put_char(*words++);
    return *this;
  }
  Text& put_char(char c) {
    if (used_ + 1 < bytes_) {
      begin_[used_++] = c;
      begin_[used_] = '\0';
    }
    return *this;
  }
  Text& number(uint64_t value, unsigned width = 0) {
    char digits[20];
    unsigned count = 0;
    do {
      digits[count++] = static_cast<char>('0' + value % 10);
      value /= 10;
    } while (value != 0);
    for (unsigned i = count; i < width; ++i) put_char(' ');
    while (count != 0) put_char(digits[--count]);
    return *this;
  }
  Text& address(const void* pointer) {
    const auto value = reinterpret_cast<uintptr_t>(pointer);
    put("0x");
    bool started = false;
    for (int shift = 60; shift >= 0; shift -= 4) {
      const unsigned digit = (value >> shift) & 15u;
      if (digit == 0 && !started && shift != 0) continue;
      started = true;
      put_char(static_cast<char>(digit < 10 ? '0' + digit : 'a' + digit - 10));
    }
    return *this;
  }
  // A size for a person: one decimal, binary units, right-aligned in `width`.
  Text& size(uint64_t bytes, unsigned width = 0) {
    static constexpr const char* kUnits[] = {" B", " KiB", " MiB", " GiB", " TiB"};
    unsigned unit = 0;
    uint64_t tenths = bytes * 10;
    while (tenths >= 10240 && unit < 4) {
      tenths = (tenths + 512) / 1024;
      ++unit;
    }
    number(tenths / 10, width);
    if (unit != 0) put_char('.').number(tenths % 10);
    return put(kUnits[unit]);
  }

  const char* c_str() const { return begin_; }
  size_t length() const { return used_; }

 private:
  char* begin_;
  size_t bytes_;
  size_t used_ = 0;
};

}  // namespace tri
