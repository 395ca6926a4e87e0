"""The engine's C++ tests: each CASE of each program is a test of its own.

They run three times: as they are, under AddressSanitizer with UndefinedBehaviorSanitizer, and,
those with threads in them, under ThreadSanitizer. The first test of each kind waits for its build.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .build_tests import ADDRESS, PLAIN, THREAD, Case, Configuration, build, cases_for, run
from .known_bugs import KNOWN_BUGS

# What cases.h answers when a program has no such case: it was left out for this sanitizer.
_NO_SUCH_CASE = 2


Build = Callable[[Configuration], None]


@pytest.fixture(scope="session")
def build_once() -> Build:
    """Build a configuration when its first test asks for it; a failure is every test's."""
    failures: dict[str, AssertionError | None] = {}

    def build_or_fail(configuration: Configuration) -> None:
        if configuration.name not in failures:
            try:
                build(configuration, sorted({case.program for case in cases_for(configuration)}))
                failures[configuration.name] = None
            except AssertionError as error:
                failures[configuration.name] = error
        if (failure := failures[configuration.name]) is not None:
            raise failure

    return build_or_fail


def _parameters() -> list[object]:
    parameters: list[object] = []
    for configuration in (PLAIN, ADDRESS, THREAD):
        for case in cases_for(configuration):
            marks = [pytest.mark.stress] if case.is_storm else []
            if (reason := KNOWN_BUGS.get(case.name)) is not None:
                marks.append(pytest.mark.xfail(reason=reason, strict=True))
            label = f"{configuration.name}-{case.label}"
            parameters.append(pytest.param(configuration, case, marks=marks, id=label))
    return parameters


@pytest.mark.parametrize(("configuration", "case"), _parameters())
def test_case(configuration: Configuration, case: Case, build_once: Build) -> None:
    build_once(configuration)
    outcome = run(configuration, case)
    if outcome.returncode == _NO_SUCH_CASE and configuration is not PLAIN:
        pytest.skip(f"left out under {configuration.name}")
    assert outcome.returncode == 0, f"status {outcome.returncode}\n{outcome.stdout}{outcome.stderr}"
