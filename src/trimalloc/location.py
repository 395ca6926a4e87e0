"""Where the libraries and headers for programs in C are installed."""

from __future__ import annotations

import os

import trimalloc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def library_path(caches: str = "auto") -> str:
    """Return the absolute path of libtrimalloc.so, for LD_PRELOAD.

    There are two. The one for ``caches="cpu"`` tries the caches of processors first, the other one
    those of threads; both obey TRIMALLOC_CACHES, but the second way costs a nanosecond more.

    Raises ValueError for another word, and FileNotFoundError when the package was installed without
    the library.
    """
    if caches not in {"auto", "thread", "cpu"}:
        raise ValueError(f"{caches!r} does not say whom caches belong to: auto, thread or cpu")
    kind = ("cpu",) if caches == "cpu" else ()
    return _installed("lib", *kind, "libtrimalloc.so")


def library_for(environment: Mapping[str, str], settings: Mapping[str, str]) -> str:
    """Return the path of the library that tries those caches first which are asked for.

    ``settings`` have the last word. A word that means nothing is left to the library to complain
    about. Raises FileNotFoundError.
    """
    variable = "TRIMALLOC_CACHES"
    caches = settings.get(variable, environment.get(variable))
    return library_path("cpu" if caches == "cpu" else "auto")


def heap_library_path(references: int = 32) -> str:
    """Return the absolute path of libtrimalloc_heap.so, which C programs with a heap link with.

    For heaps whose references have 64 bits it is libtrimalloc_heap64.so; what uses it is compiled
    with TRIMALLOC_WIDE_REFERENCES defined.

    Raises ValueError for another width, and FileNotFoundError when the package was installed
    without the library.
    """
    if references not in {32, 64}:
        raise ValueError(f"references have 32 or 64 bits, not {references!r}")
    return _installed("lib", f"libtrimalloc_heap{'' if references == 32 else 64}.so")


def get_include() -> str:
    """Return the directory for a C compiler's -I: below it are trimalloc/heap.h and trimalloc.h.

    Raises FileNotFoundError when the package was installed without them.
    """
    # os.path: pathlib costs `trimalloc run` 2 ms.
    return os.path.dirname(os.path.dirname(_installed("include", "trimalloc", "heap.h")))  # noqa: PTH120


def _installed(*parts: str) -> str:
    # An editable installation has two directories: the sources, and what the build put beside them.
    for directory in trimalloc.__path__:
        path = os.path.abspath(os.path.join(directory, *parts))  # noqa: PTH100, PTH118
        if os.path.isfile(path):  # noqa: PTH113
            return path
    raise FileNotFoundError(
        f"{parts[-1]} is missing from the trimalloc package: install it again with "
        "`pip install --force-reinstall trimalloc`"
    )
