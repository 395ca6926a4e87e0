// Failure injection: one scenario, run again and again with the first, the second, the third ...
// call to the operating system failing, until a run needs none that failed.
#pragma once

#include "tests/engine/support/expect.h"
#include "tests/engine/support/fake_os.h"

namespace tri::testing {

// `scenario(os, failing)` sets up its own structures, calls `os.fail_call(failing)` when they are
// ready, and checks them after the failure and after recovery.
template <typename Setup, typename Scenario>
void fail_each_call(Setup make, Scenario scenario) {
  for (uint64_t failing = 1;; ++failing) {
    CHECK_LT(failing, 10000u);
    auto subject = make();
    const uint64_t before = subject->os.fallible_calls();
    subject->os.fail_call(failing);
    scenario(*subject);
    if (subject->os.fallible_calls() - before < failing) return;  // it never came to that call
  }
}

}  // namespace tri::testing
