"""The allocators that can be compared: where they are, how they are switched on, how it is proved.

An allocator is named by a text:

    glibc  glibc-2-arenas  jemalloc  tcmalloc  mimalloc      what the distribution has
    jemalloc-full  (and glibc-, tcmalloc-, mimalloc-)      with PYTHONMALLOC=malloc
    python-mimalloc                                        PYTHONMALLOC=mimalloc, from CPython 3.13
    trimalloc  trimalloc-full  -arena  -malloc             ours; without suffix its default mode
    trimalloc-cpu                                          ours with caches of processors
    NAME=/path/to/lib.so                                   any other library
    NAME=BASE+VARIABLE=VALUE+...                           any of these with settings of its own
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

DEFAULT_NAMES = (
    "trimalloc-full",
    "trimalloc-arena",
    "glibc",
    "jemalloc",
    "tcmalloc",
    "mimalloc",
    "python-mimalloc",
)
BASELINE = "glibc"

_LIBRARY_FOLDERS = (
    "/usr/local/lib",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
)
_PEERS = {
    "jemalloc": ("libjemalloc.so.2", "libjemalloc2"),
    "tcmalloc": ("libtcmalloc_minimal.so.4", "libtcmalloc-minimal4"),
    "mimalloc": ("libmimalloc.so.[0-9]", "libmimalloc2.0"),
}
_TRIMALLOC_MODES = ("full", "arena", "malloc")

# What would switch on or tune an allocator behind the benchmark's back.
_FOREIGN_PREFIXES = ("MALLOC_", "MIMALLOC_", "TCMALLOC_", "TRIMALLOC_", "PYTHON", "LD_PRELOAD")
_FOREIGN_NAMES = ("GLIBC_TUNABLES", "_RJEM_MALLOC_CONF", "ARROW_DEFAULT_MEMORY_POOL")


class UnknownAllocatorError(ValueError):
    """The text names no allocator, or one that is not on this machine."""


class WrongAllocatorError(RuntimeError):
    """A process was served by another allocator than the one it was started under."""


@dataclass(frozen=True)
class Allocator:
    """An allocator with all that decides how a process runs under it."""

    name: str
    family: str
    library: Path | None = None  # None: libc's own
    settings: tuple[tuple[str, str], ...] = ()

    @property
    def is_peer(self) -> bool:
        """Whether it is one of those to be compared with."""
        return self.family != "trimalloc"

    @property
    def minimum_python(self) -> tuple[int, int]:
        """The first CPython that has it."""
        return (3, 13) if ("PYTHONMALLOC", "mimalloc") in self.settings else (3, 10)

    def native_settings(self) -> tuple[tuple[str, str], ...]:
        """The settings that matter to a program that is not Python."""
        python_only = ("PYTHONMALLOC", "TRIMALLOC_MODE")
        return tuple(pair for pair in self.settings if pair[0] not in python_only)

    def environment(self, inherited: Mapping[str, str]) -> dict[str, str]:
        """What a child is started with: nothing of the caller's that touches allocators."""
        child = {
            name: value
            for name, value in inherited.items()
            if not name.startswith(_FOREIGN_PREFIXES) and name not in _FOREIGN_NAMES
        }
        if self.library is not None:
            child["LD_PRELOAD"] = str(self.library)
        # Sets and dicts of strings in the same order in every run.
        child["PYTHONHASHSEED"] = "0"
        child["PYTHONPATH"] = str(ROOT)
        return child | dict(self.settings)

    def check(self, proof: Mapping[str, object]) -> None:
        """Raises WrongAllocatorError unless a child's own account fits this allocator."""
        malloc = str(proof["malloc"])
        if self.library is None:
            if not Path(malloc).name.startswith("libc"):
                raise WrongAllocatorError(f"{self.name}: malloc came from {malloc}, not from libc")
            self._check_python(proof, None)
            return
        library = self.library.resolve()
        mapped = proof["mapped"]
        assert isinstance(mapped, list)
        if library not in {Path(path).resolve() for path in mapped}:
            raise WrongAllocatorError(f"{self.name}: {library} is not mapped in the child")
        if Path(malloc).resolve() != library:
            raise WrongAllocatorError(f"{self.name}: malloc came from {malloc}, not from {library}")
        self._check_python(proof, library)

    def _check_python(self, proof: Mapping[str, object], library: Path | None) -> None:
        if "objects" not in proof:  # not a Python program
            return
        settings = dict(self.settings)
        mode = settings.get("TRIMALLOC_MODE")
        for domain, modes in (("objects", ("full",)), ("arenas", ("arena",))):
            ours = library is not None and Path(str(proof[domain])).resolve() == library
            if mode is not None and ours != (mode in modes):
                where = proof[domain]
                raise WrongAllocatorError(f"{self.name}: the interpreter's {domain}: {where}")
        wanted = settings.get("PYTHONMALLOC")
        found = proof["python_allocator"]
        if wanted is not None and found is not None and found != wanted:
            raise WrongAllocatorError(f"{self.name}: the interpreter says {found}, not {wanted}")

    def describe(self) -> str:
        """One line: library, version, checksum, settings."""
        settings = " ".join(f"{name}={value}" for name, value in self.settings)
        if self.library is None:
            return f"{os.confstr('CS_GNU_LIBC_VERSION')} {settings}".strip()
        checksum = hashlib.sha256(self.library.read_bytes()).hexdigest()[:12]
        library = self.library.resolve()
        version = _package_version(library)
        return f"{shown(library)} {version} sha256:{checksum} {settings}".strip()


def shown(path: Path) -> str:
    """A path as results name it: inside the checkout relative to it, elsewhere as it is."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def parse(text: str) -> Allocator:
    """The allocator that a text names; raises UnknownAllocatorError with what to do about it."""
    head, *settings = text.split("+")
    label, separator, base = head.partition("=")
    if not separator:
        label, base = text, head
    found = _from_path(base) if "/" in base else _from_name(base)
    pairs = []
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise UnknownAllocatorError(f"{text}: {setting} is not VARIABLE=VALUE")
        pairs.append((name, value))
    return replace(found, name=label, settings=found.settings + tuple(pairs))


def parse_all(texts: Iterable[str]) -> list[Allocator]:
    """Several; two of the same name are refused, because their figures would be mixed."""
    found = [parse(text) for text in texts]
    names = [allocator.name for allocator in found]
    for name in names:
        if names.count(name) > 1:
            raise UnknownAllocatorError(f"{name} is named twice")
    return found


def _from_path(text: str) -> Allocator:
    library = Path(text)
    if not library.is_file():
        raise UnknownAllocatorError(f"{text}: no such library")
    family = "trimalloc" if library.name.startswith("libtrimalloc") else library.name
    return Allocator(text, family, library.resolve())


def _from_name(name: str) -> Allocator:
    base, _, variant = name.partition("-")
    if base == "trimalloc" and variant in ("", *_TRIMALLOC_MODES):
        settings = (("TRIMALLOC_MODE", variant),) if variant else ()
        return Allocator(name, base, _trimalloc_library(), settings)
    if name == "trimalloc-cpu":
        library = _trimalloc_library()
        library = library.parent / "cpu" / library.name
        return Allocator(name, base, library, (("TRIMALLOC_CACHES", "cpu"),))
    if name == "glibc-2-arenas":
        return Allocator(name, base, None, (("MALLOC_ARENA_MAX", "2"),))
    if name == "python-mimalloc":
        return Allocator(name, base, None, (("PYTHONMALLOC", "mimalloc"),))
    if variant in ("", "full") and (base == "glibc" or base in _PEERS):
        settings = (("PYTHONMALLOC", "malloc"),) if variant else ()
        return Allocator(name, base, None if base == "glibc" else _peer_library(base), settings)
    raise UnknownAllocatorError(f"{name}: not a known allocator; give NAME=/path/to/lib.so")


def _trimalloc_library() -> Path:
    chosen = os.environ.get("TRIMALLOC_LIBRARY")
    library = Path(chosen) if chosen else ROOT / "build" / "engine" / "libtrimalloc.so"
    if not library.is_file():
        raise UnknownAllocatorError(f"{library} is not built; build it or set TRIMALLOC_LIBRARY")
    return library.resolve()


def _peer_library(base: str) -> Path:
    pattern, package = _PEERS[base]
    for folder in map(Path, _LIBRARY_FOLDERS):
        for found in sorted(folder.glob(pattern), reverse=True):
            return found
    raise UnknownAllocatorError(f"{base} is not installed: apt install {package}")


def _package_version(library: Path) -> str:
    """The distribution's package and version that a file belongs to; empty where there is none."""
    for path in (library, Path(str(library).removeprefix("/usr"))):
        try:
            owner = subprocess.run(
                ["dpkg-query", "-S", str(path)], capture_output=True, text=True, check=False
            ).stdout.partition(":")[0]
        except FileNotFoundError:
            return ""
        if owner:
            query = ["dpkg-query", "-W", "-f", "${Package} ${Version}", owner]
            return subprocess.run(query, capture_output=True, text=True, check=False).stdout
    return ""
