// Beside CASE and CHECK of tests/support:
// comparisons that print both sides, and programs that must abort.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <type_traits>

#include "tests/support/check.h"

namespace tri::testing {

template <typename T>
unsigned long long as_printable(T value) {
  if constexpr (std::is_pointer_v<T>) {
    return reinterpret_cast<uintptr_t>(value);
  } else {
    return static_cast<unsigned long long>(value);
  }
}

}  // namespace tri::testing

#define CHECK_RELATION(left, relation, right)                                                \
  do {                                                                                       \
    const auto left_ = (left);                                                               \
    const auto right_ = (right);                                                             \
    if (!(left_ relation right_)) {                                                          \
      dprintf(2, "%s:%d: %s " #relation " %s is false: %llu and %llu (0x%llx and 0x%llx)\n", \
              __FILE__, __LINE__, #left, #right, ::tri::testing::as_printable(left_),        \
              ::tri::testing::as_printable(right_), ::tri::testing::as_printable(left_),     \
              ::tri::testing::as_printable(right_));                                         \
      _exit(1);                                                                              \
    }                                                                                        \
  } while (0)
#define CHECK_EQ(left, right) CHECK_RELATION(left, ==, right)
#define CHECK_LE(left, right) CHECK_RELATION(left, <=, right)
#define CHECK_LT(left, right) CHECK_RELATION(left, <, right)
#define CHECK_GE(left, right) CHECK_RELATION(left, >=, right)

namespace tri::testing {

// What `body` writes to stderr before it aborts. Fails the case when it ends otherwise.
template <typename Body>
std::string last_words_of(Body body) {
  int ends[2];
  CHECK(pipe(ends) == 0);
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    dup2(ends[1], 2);
    body();
    _exit(0);
  }
  close(ends[1]);
  std::string words;
  char chunk[512];
  for (ssize_t got; (got = read(ends[0], chunk, sizeof chunk)) > 0;) {
    words.append(chunk, static_cast<size_t>(got));
  }
  close(ends[0]);
  int status = 0;
  CHECK_EQ(waitpid(child, &status, 0), child);
  if (!WIFSIGNALED(status))
    dprintf(2, "it ended with status %d and wrote: %s\n", status, words.c_str());
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
  return words;
}

inline bool contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

}  // namespace tri::testing
