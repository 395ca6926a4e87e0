"""Which allocators this machine has, and the environment that puts a program on each.

An allocator is either a library to preload, or a setting of the one that is there anyway. What is
not found is returned too, with the way to get it, so that no peer is left out silently.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from trimalloc import launch
from trimalloc.comparison.command import Interpreter
from trimalloc.location import library_path

BASELINE = "glibc"


@dataclass(frozen=True)
class Allocator:
    """One way to run the command."""

    name: str
    library: Path | None = None
    """What must appear in the process's maps; None when libc's own malloc is meant."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """What must appear in the process's environment, beside the preload."""
    mode: str | None = None
    """trimalloc's mode; None for every other allocator."""


@dataclass(frozen=True)
class Missing:
    """An allocator that cannot be compared here, and why."""

    name: str
    remedy: str


@dataclass(frozen=True)
class Peer:
    """A peer's library: its file names, best first, and how to install it."""

    name: str
    files: tuple[str, ...]
    install: str


PEERS = (
    Peer("jemalloc", ("libjemalloc.so.2", "libjemalloc.so"), "apt install libjemalloc2"),
    Peer(
        "tcmalloc",
        ("libtcmalloc_minimal.so.4", "libtcmalloc.so.4", "libtcmalloc_minimal.so"),
        "apt install libtcmalloc-minimal4",
    ),
    Peer(
        "mimalloc",
        ("libmimalloc.so.3", "libmimalloc.so.2", "libmimalloc.so"),
        "apt install libmimalloc2.0",
    ),
)

GLIBC_TWO_ARENAS = "glibc-2-arenas"
PYTHON_MIMALLOC = "python-mimalloc"
TRIMALLOC_MODES = {"trimalloc-full": "full", "trimalloc-arena": "arena"}
# A free-threaded CPython must keep its objects where its collector finds them.
FREE_THREADED_MODES = {"trimalloc-malloc": "malloc"}
OURS = (*TRIMALLOC_MODES, *FREE_THREADED_MODES)
NAMES = (
    *OURS,
    BASELINE,
    GLIBC_TWO_ARENAS,
    *(peer.name for peer in PEERS),
    PYTHON_MIMALLOC,
)

# Shared libraries with these stems replace malloc; a run in which another one than its own is
# mapped proves nothing.
LIBRARY_STEMS = ("libtrimalloc", "libjemalloc", "libtcmalloc", "libmimalloc", "libsnmalloc")

_SETTINGS_OF_ALLOCATORS = ("MALLOC_ARENA_MAX", "PYTHONMALLOC", "PYTHONMALLOCSTATS")


def library_directories(
    environment: Mapping[str, str], root: Path = Path("/"), prefix: str = sys.prefix
) -> list[Path]:
    """Where shared libraries lie, in the order of preference: the user's own first."""
    named = [Path(entry) for entry in environment.get("LD_LIBRARY_PATH", "").split(":") if entry]
    system = [root / place for place in ("usr/local/lib", "usr/lib64", "usr/lib", "lib64", "lib")]
    multiarch = [
        found
        for place in ("usr/lib", "lib")
        for found in sorted((root / place).glob("*-linux-gnu"))
    ]
    return [*named, Path(prefix) / "lib", *multiarch, *system]


def find_library(files: Sequence[str], directories: Iterable[Path]) -> Path | None:
    """The first of `files` that one of `directories` has, with links resolved."""
    places = list(directories)
    for file in files:
        for place in places:
            if (place / file).is_file():
                return (place / file).resolve()
    return None


def discover(
    interpreter: Interpreter | None, directories: Sequence[Path]
) -> tuple[list[Allocator], list[Missing]]:
    """Every allocator that can run the command here, and every one that cannot."""
    found: list[Allocator] = []
    missing: list[Missing] = []
    modes = FREE_THREADED_MODES if interpreter and interpreter.free_threaded else TRIMALLOC_MODES
    try:
        ours = Path(library_path()).resolve()
        found += [Allocator(name, ours, mode=mode) for name, mode in modes.items()]
    except FileNotFoundError as error:
        missing += [Missing(name, str(error)) for name in modes]
    found.append(Allocator(BASELINE))
    found.append(Allocator(GLIBC_TWO_ARENAS, variables={"MALLOC_ARENA_MAX": "2"}))
    for peer in PEERS:
        library = find_library(peer.files, directories)
        if library is None:
            missing.append(Missing(peer.name, peer.install))
        else:
            found.append(Allocator(peer.name, library=library))
    if interpreter is not None and interpreter.has_mimalloc:
        found.append(Allocator(PYTHON_MIMALLOC, variables={"PYTHONMALLOC": "mimalloc"}))
    else:
        runs_on = f"runs on {interpreter.version}" if interpreter else "is not a Python program"
        missing.append(
            Missing(PYTHON_MIMALLOC, f"needs CPython 3.13 or later; the command {runs_on}")
        )
    return found, missing


def select(
    names: Sequence[str], found: Sequence[Allocator], missing: Sequence[Missing]
) -> tuple[list[Allocator], list[Missing]]:
    """Narrows what was found to `names`; glibc stays, and both modes of ours unless one is named.

    A name may also be ``NAME=/path/to/lib.so``, for a build of one's own. Raises ValueError with
    a sentence for the user when a name means nothing.
    """
    wanted: list[str] = [BASELINE]
    own_builds: list[Allocator] = []
    for name in names:
        label, separator, path = name.partition("=")
        if separator:
            own_builds.append(_own_build(label, path))
        elif name == "trimalloc":
            wanted += OURS
        elif name in NAMES:
            wanted.append(name)
        else:
            known = ", ".join(NAMES)
            raise ValueError(
                f"unknown allocator {name!r}: choose from {known}, or NAME=/path/lib.so"
            )
    if not set(OURS) & set(wanted):
        wanted += OURS
    kept = [allocator for allocator in found if allocator.name in wanted]
    return kept + own_builds, [one for one in missing if one.name in wanted]


def _own_build(label: str, path: str) -> Allocator:
    library = Path(path)
    if not label or not library.is_file():
        raise ValueError(f"{label or 'NAME'}={path}: no such library")
    return Allocator(label, library=library.resolve())


def environment_for(allocator: Allocator, base: Mapping[str, str]) -> dict[str, str]:
    """The environment of a run under `allocator`: `base` without any other allocator's settings."""
    plain = _without_allocators(base)
    if allocator.mode is not None:
        ours = {name: value for name, value in base.items() if name.startswith("TRIMALLOC_")}
        settings = {**ours, "TRIMALLOC_MODE": allocator.mode}
        return launch.preload_environment(plain, str(allocator.library), settings)
    plain.update(allocator.variables)
    if allocator.library is not None:
        others = plain.get("LD_PRELOAD", "")
        plain["LD_PRELOAD"] = f"{allocator.library}:{others}" if others else str(allocator.library)
    return plain


def _without_allocators(base: Mapping[str, str]) -> dict[str, str]:
    plain = {
        name: value
        for name, value in base.items()
        if name not in _SETTINGS_OF_ALLOCATORS and not name.startswith("TRIMALLOC_")
    }
    entries = plain.pop("LD_PRELOAD", "").replace(" ", ":").split(":")
    kept = [entry for entry in entries if entry and not is_allocator(entry)]
    if kept:
        plain["LD_PRELOAD"] = ":".join(kept)
    return plain


def is_allocator(library: str) -> bool:
    """Whether a library's path names one that replaces malloc."""
    return os.path.basename(library).startswith(LIBRARY_STEMS)  # noqa: PTH119 - a hot path
