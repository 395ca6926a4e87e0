"""Who frees the records: the ways to do a job that are no library under malloc."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.allocators import ROOT, Allocator, UnknownAllocatorError, parse
from bench.child import SkippedError
from bench.compile import BINARIES, compile_c

SOURCES = ROOT / "bench" / "collected"
DRIVER = SOURCES / "binary_trees.c"
HEAP_LIBRARY = "libtrimalloc_heap.so"


@dataclass(frozen=True)
class Runtime(Allocator):
    """A column beside the allocators: another program, on libc's malloc or none."""

    description: str = ""
    build: Callable[[], Path] | None = None  # compiles its program, if need be

    def describe(self) -> str:
        """One line: what it is, in which version."""
        return self.description


def build_with_malloc() -> Path:
    """The program that the allocators serve."""
    return compile_c("collected/malloc_trees", [DRIVER, SOURCES / "malloc_trees.c"])


def found_runtimes() -> Iterator[Runtime | str]:
    """Those that this machine has; for others, a line that says what to do."""
    yield _collected_heap()
    yield _go()


def _collected_heap() -> Runtime | str:
    try:
        library = parse("trimalloc").library
    except UnknownAllocatorError as error:
        return str(error)
    assert library is not None
    library = library.with_name(HEAP_LIBRARY)
    if not library.is_file():
        return f"{library} is not built: make engine"

    def build() -> Path:
        flags = [f"-I{ROOT / 'include'}", str(library), f"-Wl,-rpath,{library.parent}"]
        return compile_c("collected/heap_trees", [DRIVER, SOURCES / "heap_trees.c"], flags)

    described = Allocator(HEAP_LIBRARY, "trimalloc", library).describe()
    return Runtime("collected-heap", "trimalloc", description=described, build=build)


def _go() -> Runtime | str:
    compiler = shutil.which("go")
    if compiler is None:
        return "go is missing: apt install golang"
    version = subprocess.run([compiler, "version"], capture_output=True, text=True, check=True)
    return Runtime("go", "go", description=version.stdout.strip(), build=_build_go)


def _build_go() -> Path:
    binary = BINARIES / "collected" / "go_trees"
    source = SOURCES / "binary_trees.go"
    if binary.exists() and binary.stat().st_mtime > source.stat().st_mtime:
        return binary
    environment = os.environ | {"GO111MODULE": "off", "GOCACHE": str(BINARIES / "go-cache")}
    done = subprocess.run(
        ["go", "build", "-o", str(binary), str(source)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise SkippedError(f"go build failed: {done.stderr.strip()}")
    return binary
