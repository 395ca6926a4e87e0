#include "engine/base/check.h"

#include <unistd.h>

#include <cstdlib>

#include "engine/base/text.h"

namespace tri {

void stop_with(const char* line) {
  char buffer[512];
  Text text(buffer, sizeof buffer - 1);
  text.put(line);
  buffer[text.length()] = '\n';
  // One write, so that lines of several processes do not mix. Its result changes nothing: we abort.
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, buffer, text.length() + 1);
  std::abort();
}

void check_failed(const char* file, int line, const char* expression, uint64_t left,
                  uint64_t right) {
  char buffer[400];
  Text text(buffer, sizeof buffer);
  text.put("trimalloc: internal check failed: ").put(expression);
  if (left != 0 || right != 0) text.put(" (").number(left).put(" and ").number(right).put(")");
  text.put(" at ").put(file).put(":").number(static_cast<uint64_t>(line));
  text.put("; please report this with the program that shows it");
  stop_with(text.c_str());
}

}  // namespace tri
