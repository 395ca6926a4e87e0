"""Where the preload library is installed."""

from __future__ import annotations

import os

import trimalloc

_LIBRARY = os.path.join("lib", "libtrimalloc.so")  # noqa: PTH118 (pathlib costs `trimalloc run` 2 ms)


def library_path() -> str:
    """Return the absolute path of libtrimalloc.so, for LD_PRELOAD.

    Raises FileNotFoundError when the package was installed without it.
    """
    # An editable installation has two directories: the sources, and what the build put beside them.
    for directory in trimalloc.__path__:
        path = os.path.abspath(os.path.join(directory, _LIBRARY))  # noqa: PTH100, PTH118
        if os.path.isfile(path):  # noqa: PTH113
            return path
    raise FileNotFoundError(
        "libtrimalloc.so is missing from the trimalloc package: install it again with "
        "`pip install --force-reinstall trimalloc`"
    )
