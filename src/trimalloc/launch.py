"""The environment that puts a program on trimalloc.

Imports nothing but ``os`` and ``sys``: `trimalloc run` must cost next to nothing before it execs.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

MODES = ("full", "arena", "malloc")
CACHES = ("auto", "thread", "cpu")

# Of both libraries of the package: one of them is enough.
_FILE_NAME = "libtrimalloc.so"


def with_mode(
    settings: Mapping[str, str], environment: Mapping[str, str], *, same_python: bool
) -> dict[str, str]:
    """Return ``settings`` with TRIMALLOC_MODE=malloc where objects must stay where they are.

    A free-threaded CPython finds its objects by walking its own allocator's pages (this one tells
    only about itself, ``same_python``). PYTHONMALLOC is the user's own word on who serves objects.
    Otherwise the mode is what was asked for, or the library's default.
    """
    free_threaded = same_python and "t" in sys.abiflags
    if free_threaded or environment.get("PYTHONMALLOC"):
        return {**settings, "TRIMALLOC_MODE": "malloc"}
    return dict(settings)


def preload_environment(
    environment: Mapping[str, str], library: str, settings: Mapping[str, str]
) -> dict[str, str]:
    """Return ``environment`` with ``library`` preloaded first and the TRIMALLOC_* ``settings``.

    Raises ValueError where LD_PRELOAD cannot name the library.
    """
    if any(character in library for character in " :\n"):
        raise ValueError(
            f"LD_PRELOAD cannot name {library!r}, because a space or a colon ends a name there: "
            "install trimalloc in a directory without them"
        )
    others = [
        name
        for name in environment.get("LD_PRELOAD", "").replace(" ", ":").split(":")
        if name and os.path.basename(name) != _FILE_NAME  # noqa: PTH119 (no pathlib here)
    ]
    return {**environment, "LD_PRELOAD": ":".join([library, *others]), **settings}


def executable_on_path(name: str, environment: Mapping[str, str]) -> str | None:
    """Return the file that a shell would run for ``name``; None when there is none."""
    if "/" in name:
        return name if os.path.isfile(name) else None  # noqa: PTH113 (no pathlib here)
    for directory in environment.get("PATH", os.defpath).split(os.pathsep):
        path = f"{directory or '.'}/{name}"
        if os.path.isfile(path) and os.access(path, os.X_OK):  # noqa: PTH113
            return path
    return None
