"""What serves this process, and the two things to ask of it: give memory back, check itself."""

from __future__ import annotations

from trimalloc import _native


def is_active() -> bool:
    """Return whether trimalloc is this process's malloc, as under ``trimalloc run``.

    Otherwise the package has an engine of its own, which serves only what is asked of it.
    """
    return _native.is_preloaded()


def mode() -> str:
    """Return which of CPython's allocators are taken: "full", "arena", "malloc" or "library"."""
    return _native.mode()


def release() -> int:
    """Give all free memory back to the operating system now; return how many bytes that was.

    Memory goes back by itself a moment after it became free. Call this before a measurement, a
    ``fork`` or a checkpoint.
    """
    return _native.release()


def verify() -> None:
    """Check every structure of the engine; a broken one ends the process with a line that names it.

    It takes every lock of the engine: for tests and for hunting memory corruption.
    """
    _native.verify()
