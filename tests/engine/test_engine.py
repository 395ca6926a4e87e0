"""The engine's C++ tests: each CASE of each program is a test of its own.

They run three times: as they are, under AddressSanitizer with UndefinedBehaviorSanitizer, and,
those with threads in them, under ThreadSanitizer. The first test of each kind waits for its build.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from .build_tests import ADDRESS, PLAIN, THREAD, Case, Configuration, build, cases_for, run
from .known_bugs import KNOWN_BUGS, SOMETIMES

# What cases.h answers when a program has no such case: it was left out for this sanitizer.
_NO_SUCH_CASE = 2


@pytest.fixture(scope="session")
def built() -> Callable[[Configuration], Path]:
    """Build a configuration when its first test asks for it, once."""
    results: dict[str, Path | AssertionError] = {}

    def build_once(configuration: Configuration) -> Path:
        if configuration.name not in results:
            try:
                results[configuration.name] = build(configuration)
            except AssertionError as error:
                results[configuration.name] = error
        result = results[configuration.name]
        if isinstance(result, AssertionError):
            raise result
        return result

    return build_once


def _parameters() -> list[object]:
    parameters: list[object] = []
    for configuration in (PLAIN, ADDRESS, THREAD):
        for case in cases_for(configuration):
            marks = [pytest.mark.stress] if case.is_storm else []
            if (reason := KNOWN_BUGS.get(case.name)) is not None:
                strict = case.name not in SOMETIMES
                marks.append(pytest.mark.xfail(reason=reason, strict=strict))
            label = f"{configuration.name}-{case.label}"
            parameters.append(pytest.param(configuration, case, marks=marks, id=label))
    return parameters


@pytest.mark.parametrize(("configuration", "case"), _parameters())
def test_case(
    configuration: Configuration, case: Case, built: Callable[[Configuration], Path]
) -> None:
    outcome = run(configuration, built(configuration), case)
    if outcome.returncode == _NO_SUCH_CASE and configuration is not PLAIN:
        pytest.skip(f"left out under {configuration.name}")
    assert outcome.returncode == 0, f"status {outcome.returncode}\n{outcome.stdout}{outcome.stderr}"
