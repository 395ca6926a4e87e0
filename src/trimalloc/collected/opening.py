"""Opening a saved heap: mapped, its record classes made from the file or bound to the program's."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import GenericAlias
from typing import Any, Literal

from trimalloc.collected.containers.factory import FACES, named_container
from trimalloc.collected.declarations import Declarations, SavedClass, check_same, unpack
from trimalloc.collected.fields import REFERENCE, FieldType
from trimalloc.collected.heap import Heap
from trimalloc.collected.heap_file_error import HeapFileError, told_of
from trimalloc.collected.layout import RecordLayout, declared_fields, lay_out
from trimalloc.collected.saved_roots import SavedRoots
from trimalloc.collected.width import native, record_bases


def open_heap(
    path: str | os.PathLike[str],
    mode: Literal["r", "c"] = "r",
    *,
    classes: Sequence[type] = (),
    verify: bool = False,
    gc_percent: int | None = 100,
    limit: int | str | None = None,
    procs: int | None = None,
    markers: int | None = None,
) -> Heap:
    """Open a file that ``Heap.save`` has written, by mapping it.

    ``mode``: ``"r"`` is read only and shared, all processes hold one copy; ``"c"`` is private, a
    page is copied when it is first written, and the file stays as it is. ``classes``: the program's
    classes, with their methods, for those of the file of the same name; the others are made without
    methods. How wide references are, the file says. ``verify``: read and sum everything; otherwise
    that is done for the tables only, and for the roots at the first look-up: damaged records then
    read as other values, or as None, but never crash, containers excepted. Raises ``HeapFileError``
    for a file that is no whole saved heap or has other fields than ``classes``.
    """
    if mode not in ("r", "c"):
        raise ValueError(f"mode is 'r' or 'c', not {mode!r}")
    options: dict[str, Any] = {
        "gc_percent": gc_percent,
        "limit": limit,
        "procs": procs,
        "markers": markers,
    }
    name = os.fspath(path)
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        mapped = {"file": file, "writable": mode == "c", "verify": verify}
        with told_of(name):
            bits = native(32)._reference_bits(file)
            heap = Heap(**options, references=bits, _file=mapped)
            told = unpack(heap._saved_declarations())
            _declare(heap, told, classes, sys._getframe(1).f_locals)
    finally:
        os.close(file)
    heap._saved = SavedRoots(heap, told.roots, name)
    heap._read_only = mode == "r"
    return heap


def _declare(
    heap: Heap, told: Declarations, given: Sequence[type], local: Mapping[str, object]
) -> None:
    """Declare the classes in the order of the file."""
    by_name = {one.__name__: one for one in given}
    in_file = frozenset(one.name for one in told.classes)
    for name in by_name:
        if name not in in_file:
            raise HeapFileError(f"has no class {name}")
    for saved in told.classes:
        if (of := saved.container) is not None:
            heap._declare_container(saved.name, FACES[of.face], of.key, of.value)
            continue
        base = _base_of(heap, saved)
        ours = by_name.get(saved.name)
        if ours is None:
            heap._add_class(type(saved.name, (), {}), base, saved.layout)
        else:
            heap._add_class(ours, base, _bound_layout(heap, ours, saved, in_file, local))
    heap._saved_names = in_file


def _base_of(heap: Heap, saved: SavedClass) -> Any:
    return heap._native.Handle if saved.base is None else heap._classes[saved.base]


def _bound_layout(
    heap: Heap,
    ours: type,
    saved: SavedClass,
    in_file: frozenset[str],
    local: Mapping[str, object],
) -> RecordLayout:
    """Lay out the program's class; HeapFileError when the file has it otherwise."""
    names = [one.__name__ for one in record_bases(ours)]
    if names != ([] if saved.base is None else [saved.base]):
        raise HeapFileError(
            f"class {saved.name} derives from {', '.join(names) or 'nothing'} in the program, "
            f"from {saved.base or 'nothing'} in the file"
        )
    known = {**vars(sys.modules[ours.__module__]), **local}
    # Record classes are meant by name: those of the file, not what stands for them here.
    known = {name: one for name, one in known.items() if name not in in_file}
    wanted = declared_fields(
        ours, known, lambda one: getattr(one, "__name__", "") in in_file, _named_container
    )
    by_name = {name: (_to_name(kind), default) for name, (kind, default) in wanted.items()}
    before = getattr(_base_of(heap, saved), "__layout__", RecordLayout())
    layout = lay_out(by_name, before, heap.references // 8)
    check_same(saved.name, layout, saved.layout)
    return layout


def _named_container(annotation: GenericAlias) -> object:
    """Return the field that refers to a class of containers of the file, by its name."""
    face: Any = annotation.__origin__
    if FACES.get(getattr(face, "__name__", "")) is not face:
        return annotation
    name, _, _ = named_container(None, face, annotation.__args__)
    return FieldType(name, REFERENCE, 0, target=name)


def _to_name(kind: FieldType) -> FieldType:
    target = kind.target
    return replace(kind, target=target.__name__) if isinstance(target, type) else kind
