"""Builds the engine's C++ test programs and lists the cases in them."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from support.library import CHECKOUT
from support.programs import cases_in

HERE = Path(__file__).parent
STORMS = CHECKOUT / "tests" / "stress"


@dataclass(frozen=True)
class Configuration:
    """One way to compile the engine under test."""

    name: str
    sanitizer: str = ""
    # More of what cmake is told, and what programs are started with.
    options: tuple[str, ...] = ()
    launcher: tuple[str, ...] = ()

    @property
    def directory(self) -> Path:
        """Where it is built; kept between runs, so that only what changed is compiled."""
        suffix = "" if self.name == "plain" else f"-{self.name}"
        return CHECKOUT / "build" / f"engine-tests{suffix}"

    def environment(self) -> dict[str, str]:
        """Return the environment that its programs run in."""
        options = {
            # What a case leaves behind at its end is not a leak: the process ends.
            "ASAN_OPTIONS": "detect_leaks=0",
            "UBSAN_OPTIONS": "print_stacktrace=1",
            # A long history: suppressions go by the stacks of both accesses.
            "TSAN_OPTIONS": "halt_on_error=1 history_size=7 "
            f"suppressions={HERE / 'tsan-suppressions.txt'}",
        }
        kept = {k: v for k, v in os.environ.items() if not k.startswith("TRIMALLOC_")}
        return {**options, **kept}


PLAIN = Configuration("plain")
ADDRESS = Configuration("asan", "address")
THREAD = Configuration(
    "tsan",
    "thread",
    # Older ThreadSanitizers know few address layouts, and newer kernels choose among many.
    launcher=("setarch", "--addr-no-randomize") if shutil.which("setarch") else (),
)


@dataclass(frozen=True)
class Case:
    """One CASE of one program."""

    source: Path
    name: str
    is_wide: bool = False  # of a collected heap whose references have 64 bits

    @property
    def layer(self) -> str:
        """The engine's layer, or the width beside it."""
        return f"{self.source.parent.name}64" if self.is_wide else self.source.parent.name

    @property
    def program(self) -> str:
        """The name that tests/engine/CMakeLists.txt gives the program."""
        return f"{self.layer}-{self.source.stem}"

    @property
    def label(self) -> str:
        """How the test report names it: layer, subject, claim."""
        subject = self.source.stem.removesuffix("_test")
        return f"{self.layer}-{subject}-{self.name}"

    @property
    def is_storm(self) -> bool:
        """Whether it runs as long as one lets it."""
        return self.source.parent == STORMS

    @property
    def has_threads(self) -> bool:
        """Whether ThreadSanitizer has anything to see in it."""
        return "#include <thread>" in self.source.read_text()


def all_cases() -> list[Case]:
    """Return every case of every program, found by reading the sources."""
    sources = [*sorted(HERE.glob("*/*_test.cc")), *sorted(STORMS.glob("engine_*.cc"))]
    cases = [Case(source, name) for source in sources for name in cases_in(source)]
    return cases + [replace(case, is_wide=True) for case in cases if _has_width(case)]


# Cases that take long, and find the same however wide references are.
_SAME_FOR_BOTH = {"EveryFlippedByteIsFound"}


def _has_width(case: Case) -> bool:
    """Whether the case is another one where references have 64 bits."""
    if case.layer != "collected" or case.name in _SAME_FOR_BOTH:
        return False
    text = case.source.read_text()
    return "support/collected.h" in text or "Reference" in text


def _tool(name: str) -> str:
    """Find a build tool beside this Python (PyPI has both), or else in PATH."""
    beside = str(Path(sys.executable).parent)
    found = shutil.which(name, path=os.pathsep.join([beside, os.environ.get("PATH", "")]))
    assert found, f"{name} is neither beside {sys.executable} nor in PATH"
    return found


def cases_for(configuration: Configuration) -> list[Case]:
    """Return the cases that are worth running in `configuration`.

    Of collected heaps with references of 64 bits, AddressSanitizer sees the most; how threads meet
    is the same for both widths.
    """
    return [
        case
        for case in all_cases()
        if (configuration is not THREAD or case.has_threads)
        and (configuration is ADDRESS or not case.is_wide)
    ]


def build(configuration: Configuration, targets: Sequence[str]) -> Path:
    """Bring `targets` up to date and return the directory that they were built in.

    One process at a time builds in a directory; the others find everything done.
    """
    directory = configuration.directory
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "tests.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (directory / "build.ninja").exists():
            _run(
                _tool("cmake"),
                *("-G", "Ninja", "-S", str(CHECKOUT), "-B", str(directory)),
                f"-DCMAKE_MAKE_PROGRAM={_tool('ninja')}",
                "-DTRIMALLOC_TESTS=ON",
                f"-DTRIMALLOC_SANITIZE={configuration.sanitizer}",
                *configuration.options,
            )
        _run(_tool("cmake"), "--build", str(directory), "--target", *targets)
    return directory


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (
        f"{' '.join(command)}\n{done.stdout[-8000:]}\n{done.stderr[-4000:]}"
    )


def run(configuration: Configuration, case: Case) -> subprocess.CompletedProcess[str]:
    """Run one case, whose program has been built, in a process of its own."""
    program = configuration.directory / "tests" / "engine" / case.program
    return subprocess.run(
        [*configuration.launcher, str(program), case.name],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=120,
        env=configuration.environment(),
        stdin=subprocess.DEVNULL,
    )
