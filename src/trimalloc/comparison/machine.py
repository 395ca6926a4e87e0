"""What a comparison was measured on: hardware, kernel, and the versions of the allocators."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from trimalloc.comparison.allocators import Allocator, environment_for
from trimalloc.comparison.command import Interpreter

# Asked of a process that has the library preloaded: loaded later, it may lack static TLS.
_ASK_LIBRARY = """
import ctypes, sys
library = ctypes.CDLL(sys.argv[1])
if hasattr(library, "mi_version"):
    number = library.mi_version()
    base = 100 if number >= 10000 else 10
    print(f"{number // base**2}.{number // base % base}.{number % base}")
elif hasattr(library, "mallctl"):
    text, size = ctypes.c_char_p(), ctypes.c_size_t(ctypes.sizeof(ctypes.c_char_p))
    library.mallctl(b"version", ctypes.byref(text), ctypes.byref(size), None, 0)
    print(text.value.decode().partition("-")[0])
elif hasattr(library, "tc_version"):
    library.tc_version.restype = ctypes.c_char_p
    print(library.tc_version(None, None, None).decode())
"""


@dataclass(frozen=True)
class Machine:
    """Where the figures come from."""

    processor: str
    cpus: int
    memory_bytes: int
    kernel: str
    libc: str
    python: str | None
    """The command's CPython; None when it is another program."""
    versions: dict[str, str]
    """By allocator: its version, as far as it tells."""


def describe(allocators: Sequence[Allocator], interpreter: Interpreter | None) -> Machine:
    """This machine, and the allocators compared on it."""
    libc = " ".join(platform.libc_ver())
    return Machine(
        processor=_processor(),
        cpus=len(os.sched_getaffinity(0)),
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        kernel=platform.release(),
        libc=libc,
        python=f"CPython {interpreter.version}" if interpreter else None,
        versions={one.name: _version(one, libc, interpreter) for one in allocators},
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _version(allocator: Allocator, libc: str, interpreter: Interpreter | None) -> str:
    if allocator.mode is not None:
        try:
            return version("trimalloc")
        except PackageNotFoundError:
            return "not installed as a package"
    if allocator.library is None:
        in_python = "PYTHONMALLOC" in allocator.variables and interpreter
        return f"in CPython {interpreter.version}" if in_python and interpreter else libc
    answer = subprocess.run(
        [sys.executable, "-c", _ASK_LIBRARY, str(allocator.library)],
        env=environment_for(allocator, os.environ),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return answer.stdout.strip() or allocator.library.name
