"""The one exception for files that are no heap to open."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from trimalloc import _collected

# As the native side counts: engine/frontends/collected/heap_file.h.
_DAMAGED = 5
_FAULTS = {
    2: "no saved heap",
    3: "saved by a later version of trimalloc: upgrade, or save it with this one",
    4: "cut off, or longer than it was when it was saved",
    _DAMAGED: "damaged",
    7: "a heap whose references have neither 32 nor 64 bits",
}
_PARTS = ("declarations", "roots", "page kinds", "slot sizes", "live bits", "pages", "header")


class HeapFileError(ValueError):
    """A file is no saved heap, not whole, of a later version, or not what the program declares."""


@contextmanager
def told_of(path: str) -> Iterator[None]:
    """Raise HeapFileError, with the file's name, for what is wrong with it."""
    try:
        yield
    except _collected.FileFaultError as fault:
        kind, part = fault.args
        where = f" in its {_PARTS[part]}" if kind == _DAMAGED else ""
        raise HeapFileError(f"{path}: {_FAULTS[kind]}{where}") from None
    except HeapFileError as error:
        raise HeapFileError(f"{path}: {error}") from None
