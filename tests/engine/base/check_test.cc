#include "engine/base/check.h"

#include "tests/engine/support/expect.h"
#include "tests/support/cases.h"

namespace tri {
namespace {

using testing::contains;
using testing::last_words_of;

CASE(AFailedCheckSaysWhatAndWhere) {
  const std::string words = last_words_of([] { TRI_CHECK(2 + 2 == 5); });
  CHECK(contains(words, "trimalloc: internal check failed: 2 + 2 == 5 at "));
  CHECK(contains(words, "check_test.cc:"));
}

CASE(AFailedComparisonPrintsBothOperands) {
  const std::string words = last_words_of([] { TRI_CHECK_EQ(6 * 7, 43); });
  CHECK(contains(words, "6 * 7 == 43 (42 and 43)"));
}

CASE(StopsWithExactlyOneLine) {
  const std::string words = last_words_of([] { stop_with("trimalloc: an end"); });
  CHECK(words == "trimalloc: an end\n");
}

CASE(CutsALongLineButStillEndsIt) {
  const std::string words = last_words_of([] { stop_with(std::string(2000, 'x').c_str()); });
  CHECK(words.size() <= 512 && words.back() == '\n');
}

}  // namespace
}  // namespace tri
