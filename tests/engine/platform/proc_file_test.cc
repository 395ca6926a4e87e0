#include "engine/platform/proc_file.h"

#include <unistd.h>

#include <cstring>

#include "tests/engine/support/expect.h"
#include "tests/support/cases.h"

namespace tri::platform {
namespace {

CASE(AFieldIsANumberBetweenSpaces) {
  const char* text = "7 80 900 x12 5x\n";
  CHECK_EQ(number_in_field(text, 1, 1), 7u);
  CHECK_EQ(number_in_field(text, 1, 2), 80u);
  CHECK_EQ(number_in_field(text, 1, 3), 900u);
  CHECK_EQ(number_in_field(text, 1, 4), 0u);  // no number
  CHECK_EQ(number_in_field(text, 1, 5), 5u);
  CHECK_EQ(number_in_field(text, 1, 6), 0u);  // no such field
  CHECK_EQ(number_in_field(text + 2, 2, 3), 900u);
  CHECK_EQ(number_in_field("", 1, 1), 0u);
}

CASE(AFileIsReadAsFarAsThereIsRoom) {
  const ProcFile<512> whole("/proc/self/stat");
  CHECK_EQ(number_in_field(whole.text(), 1, 1), static_cast<uint64_t>(getpid()));
  const ProcFile<2> part("/proc/self/stat");
  CHECK_EQ(std::strlen(part.text()), 1u);
  CHECK_EQ(part.text()[0], whole.text()[0]);
}

CASE(AFileThatIsNotThereIsEmpty) {
  const ProcFile<64> none("/proc/self/no such file");
  CHECK_EQ(none.text()[0], '\0');
}

}  // namespace
}  // namespace tri::platform
