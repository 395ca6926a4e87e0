"""Who frees the records: the ways to do a job that are no library under malloc."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
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
    for find in (_collected_heap, _go, _boehm):
        try:
            yield find()
        except SkippedError as error:
            yield str(error)


def _heap_library() -> Path:
    try:
        library = parse("trimalloc").library
    except UnknownAllocatorError as error:
        raise SkippedError(str(error)) from None
    assert library is not None
    library = library.with_name(HEAP_LIBRARY)
    if not library.is_file():
        raise SkippedError(f"{library} is not built: make engine")
    return library


def build_with_heap(name: str, sources: Sequence[Path]) -> Path:
    """The program `name` over the C interface of the collected heap."""
    library = _heap_library()
    flags = [f"-I{ROOT / 'include'}", str(library), f"-Wl,-rpath,{library.parent}"]
    return compile_c(f"collected/{name}", sources, flags)


def _collected_heap() -> Runtime:
    described = Allocator(HEAP_LIBRARY, "trimalloc", _heap_library()).describe()

    def build() -> Path:
        return build_with_heap("heap_trees", [DRIVER, SOURCES / "heap_trees.c"])

    return Runtime("collected-heap", "trimalloc", description=described, build=build)


def _boehm() -> Runtime:
    found = subprocess.run(
        ["pkg-config", "--modversion", "bdw-gc"], capture_output=True, text=True, check=False
    )
    if found.returncode != 0:
        raise SkippedError("Boehm's collector is missing: apt install libgc-dev pkg-config")

    def build() -> Path:
        sources = [DRIVER, SOURCES / "boehm_trees.c"]
        return compile_c("collected/boehm_trees", sources, ["-lgc"])

    described = f"Boehm's collector {found.stdout.strip()}"
    return Runtime("boehm", "boehm", description=described, build=build)


def _go() -> Runtime:
    version = subprocess.run(
        [_go_compiler(), "version"], capture_output=True, text=True, check=True
    )
    described = version.stdout.strip()

    def build() -> Path:
        return build_go("go_trees", SOURCES / "binary_trees.go")

    return Runtime("go", "go", description=described, build=build)


def _go_compiler() -> str:
    compiler = shutil.which("go")
    if compiler is None:
        raise SkippedError("go is missing: apt install golang")
    return compiler


def build_go(name: str, source: Path) -> Path:
    """The program `name` of one file in Go."""
    binary = BINARIES / "collected" / name
    if binary.exists() and binary.stat().st_mtime > source.stat().st_mtime:
        return binary
    environment = os.environ | {"GO111MODULE": "off", "GOCACHE": str(BINARIES / "go-cache")}
    done = subprocess.run(
        [_go_compiler(), "build", "-o", str(binary), str(source)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise SkippedError(f"go build failed: {done.stderr.strip()}")
    return binary
