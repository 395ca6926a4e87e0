"""The engine on aarch64: cross-compiled, and run by QEMU's user mode.

Not run here: what forks with threads running or remaps pages; QEMU's user mode does neither well.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from support.library import CHECKOUT
from support.programs import cases_in

from .build_tests import Case, Configuration, build, run
from .known_bugs import KNOWN_BUGS

HERE = Path(__file__).parent
SYSROOT = "/usr/aarch64-linux-gnu"
TOOLS = ("aarch64-linux-gnu-gcc", "aarch64-linux-gnu-g++", "qemu-aarch64")
EMULATOR = ("qemu-aarch64", "-L", SYSROOT)

AARCH64 = Configuration(
    "aarch64",
    options=(
        "-DCMAKE_SYSTEM_NAME=Linux",
        "-DCMAKE_SYSTEM_PROCESSOR=aarch64",
        "-DCMAKE_C_COMPILER=aarch64-linux-gnu-gcc",
        "-DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++",
    ),
    launcher=EMULATOR,
)
# One program for each of: system calls, atomics, arithmetic, and the tiers on top of them.
SOURCES = (
    HERE / "platform" / "lock_test.cc",
    HERE / "platform" / "processor_test.cc",
    HERE / "metadata" / "arena_test.cc",
    HERE / "central" / "size_classes_test.cc",
    HERE / "pages" / "page_heap_test.cc",
    HERE / "cache" / "cache_tier_test.cc",
)
CASES = [Case(source, name) for source in SOURCES for name in cases_in(source)]

_MISSING = [tool for tool in TOOLS if shutil.which(tool) is None]
pytestmark = pytest.mark.skipif(
    bool(_MISSING),
    reason=f"no {', '.join(_MISSING)}: install g++-aarch64-linux-gnu and qemu-user",
)


@pytest.fixture(scope="module")
def library() -> Path:
    """The preload library and the test programs for aarch64."""
    targets = ["trimalloc_preload", *sorted({case.program for case in CASES})]
    return build(AARCH64, targets) / "libtrimalloc.so"


def _parameters() -> list[object]:
    parameters: list[object] = []
    for case in CASES:
        reason = KNOWN_BUGS.get(case.name)
        marks = [pytest.mark.xfail(reason=reason, strict=True)] if reason else []
        parameters.append(pytest.param(case, marks=marks, id=case.label))
    return parameters


@pytest.mark.parametrize("case", _parameters())
@pytest.mark.usefixtures("library")
def test_case(case: Case) -> None:
    outcome = run(AARCH64, case)
    assert outcome.returncode == 0, f"status {outcome.returncode}\n{outcome.stdout}{outcome.stderr}"


@pytest.fixture(scope="module")
def storm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("aarch64") / "storm"
    includes = [f"-I{CHECKOUT / 'tests' / 'support'}", f"-I{CHECKOUT / 'include'}"]
    flags = ["-O1", "-std=gnu11", "-fno-builtin", "-pthread", "-Wall", "-Wextra", "-Werror"]
    source = str(HERE / "programs" / "storm.c")
    subprocess.run(
        ["aarch64-linux-gnu-gcc", *flags, *includes, source, "-o", str(program), "-ldl"], check=True
    )
    return program


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("check", [0, 1], ids=["cached", "checked"])
def test_a_preloaded_program_keeps_its_bytes(
    threads: int, check: int, storm: Path, library: Path
) -> None:
    # A range of 4 GiB, because the emulator keeps books on every page of it.
    settings = [f"LD_PRELOAD={library}", "TRIMALLOC_ARENA=4G", f"TRIMALLOC_CHECK={check}"]
    environment = [word for setting in settings for word in ("-E", setting)]
    done = subprocess.run(
        [*EMULATOR, *environment, str(storm), "1", str(threads), "5000"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
