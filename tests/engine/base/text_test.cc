#include "engine/base/text.h"

#include "tests/engine/support/expect.h"
#include "tests/support/cases.h"

namespace tri {
namespace {

template <typename Write>
std::string text_of(Write write, size_t room = 100) {
  char buffer[100];
  Text text(buffer, room);
  write(text);
  CHECK_EQ(strlen(text.c_str()), text.length());
  return text.c_str();
}

CASE(WritesNumbersOfEveryLength) {
  CHECK(text_of([](Text& t) { t.number(0); }) == "0");
  CHECK(text_of([](Text& t) { t.number(UINT64_MAX); }) == "18446744073709551615");
}

CASE(AlignsNumbersToTheRight) {
  CHECK(text_of([](Text& t) { t.number(42, 5); }) == "   42");
  CHECK(text_of([](Text& t) { t.number(123456, 5); }) == "123456");
}

CASE(WritesAddressesAsPrintfDoes) {
  for (uintptr_t value : {uintptr_t{1}, uintptr_t{0x10}, uintptr_t{0x7fab00c0ffee}, UINTPTR_MAX}) {
    char expected[32];
    snprintf(expected, sizeof expected, "%p", reinterpret_cast<void*>(value));
    CHECK(text_of([&](Text& t) { t.address(reinterpret_cast<void*>(value)); }) == expected);
  }
  CHECK(text_of([](Text& t) { t.address(nullptr); }) == "0x0");
}

CASE(WritesSizesForAPerson) {
  const auto size = [](uint64_t bytes) { return text_of([=](Text& t) { t.size(bytes); }); };
  CHECK(size(0) == "0 B");
  CHECK(size(1023) == "1023 B");
  CHECK(size(1024) == "1.0 KiB");
  CHECK(size(1536) == "1.5 KiB");
  CHECK(size(1024 * 1024 - 1) == "1.0 MiB");
  CHECK(size(5ull << 30) == "5.0 GiB");
  CHECK(size(3000ull << 40) == "3000.0 TiB");
}

CASE(CutsOffWhatDoesNotFit) {
  CHECK(text_of([](Text& t) { t.put("abc").put("def"); }, 5) == "abcd");
  CHECK(text_of([](Text& t) { t.number(12345); }, 3) == "12");
  CHECK(text_of([](Text& t) { t.put("x"); }, 1).empty());
}

}  // namespace
}  // namespace tri
