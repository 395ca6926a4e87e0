"""Writing a heap to a file: beside its place, to disk, and only then under its name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from trimalloc._collected import Record
from trimalloc.collected.batch import Batch
from trimalloc.collected.declarations import SavedRoot, pack

if TYPE_CHECKING:
    from trimalloc.collected.heap import Heap


def save_heap(heap: Heap, path: str | os.PathLike[str], roots: Mapping[str, Any]) -> None:
    """Write all that lives in `heap`, with names for `roots`."""
    places: dict[str, SavedRoot] = {}
    at = 0
    for name, one in roots.items():
        if not isinstance(name, str):
            raise TypeError(f"roots have names, not {name!r}")
        places[name] = _place(heap, name, one, at)
        at += places[name].count
    text = pack(heap._declared, places)
    target = Path(path)
    beside = target.with_name(f".{target.name}.{token_hex(8)}.tmp")
    file = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        try:
            heap._save(file, text, list(roots.values()))
            os.fsync(file)
        finally:
            os.close(file)
        beside.replace(target)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise
    _sync_directory(target.parent)


def _place(heap: Heap, name: str, one: object, at: int) -> SavedRoot:
    """Say where a root's references come to lie."""
    if isinstance(one, Batch):
        if one.record_class not in heap._declared:
            raise ValueError(f"root {name!r} is a batch of another heap")
        return SavedRoot(at, len(one), heap._declared.index(one.record_class))
    if not isinstance(one, Record):
        raise TypeError(f"root {name!r} is neither a record nor a batch: {one!r}")
    if type(one) not in heap._declared:
        raise ValueError(f"root {name!r} is a record of another heap")
    return SavedRoot(at, 1, None)


def _sync_directory(directory: Path) -> None:
    """Make the new name last. Some file systems cannot: then it lasts as it does there."""
    file = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):
            os.fsync(file)
    finally:
        os.close(file)
