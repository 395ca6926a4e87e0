"""Where the libraries and headers for programs in C are installed."""

from __future__ import annotations

import os

import trimalloc


def library_path() -> str:
    """Return the absolute path of libtrimalloc.so, for LD_PRELOAD.

    Raises FileNotFoundError when the package was installed without it.
    """
    return _installed("lib", "libtrimalloc.so")


def heap_library_path() -> str:
    """Return the absolute path of libtrimalloc_heap.so, which C programs with a heap link with.

    Raises FileNotFoundError when the package was installed without it.
    """
    return _installed("lib", "libtrimalloc_heap.so")


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
