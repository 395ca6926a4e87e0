"""Compiles the C and C++ programs of the tests, and lists the cases that they hold.

A program may hold many cases, each run in a process of its own: `program NAME`. They are written
with CASE(name) { ... } from cases.h, and found here by reading the source, so that a case which
is written is a case which is run.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from support.library import CHECKOUT

_CASE = re.compile(r"^CASE\((\w+)\)", re.MULTILINE)
_INCLUDES = [f"-I{path}" for path in (Path(__file__).parent, CHECKOUT / "include")]

# -fno-builtin: the compiler must not remove a malloc whose block nobody reads. The warnings that
# are switched off are about misuse, which is what many of these programs are for.
_FLAGS = [
    "-O1",
    "-g",
    "-fno-builtin",
    "-pthread",
    "-D_GNU_SOURCE",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wno-use-after-free",
    "-Wno-free-nonheap-object",
    "-Wno-alloc-size-larger-than",
]


def cases_in(source: Path) -> list[str]:
    """Return the names of the cases in `source`, in order."""
    return _CASE.findall(source.read_text())


@dataclass
class Programs:
    """Compiles each source at most once, into a directory that lives as long as the session."""

    directory: Path
    _built: dict[tuple[Path, tuple[str, ...]], Path] = field(default_factory=dict)

    def build(self, source: Path, flags: Sequence[str] = ()) -> Path:
        """Compile `source` and return the program, or the library when `flags` have -shared."""
        key = (source, tuple(flags))
        if key not in self._built:
            suffix = ".so" if "-shared" in flags else ""
            name = f"{source.parent.name}-{source.stem}-{len(self._built)}{suffix}"
            target = self.directory / name
            self._compile(source, flags, target)
            self._built[key] = target
        return self._built[key]

    def _compile(self, source: Path, flags: Sequence[str], target: Path) -> None:
        if source.suffix == ".cc":
            compiler = [os.environ.get("CXX", "c++"), "-std=c++17"]
        else:
            compiler = [os.environ.get("CC", "cc"), "-std=gnu11"]
        command = [
            *compiler,
            *_FLAGS,
            *_INCLUDES,
            str(source),
            "-o",
            str(target),
        ]
        command += [*flags, "-ldl"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stderr}"
