"""From the annotations of a class to where its fields lie in a record.

References come first, four or eight bytes each, so that the collector scans one run. Numbers
follow by falling alignment, smaller ones filling gaps; then one bit for each optional number. What
a derived class adds lies behind what its base has.
"""

from __future__ import annotations

import builtins
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from inspect import get_annotations

from trimalloc.collected.fields import BUILTIN, REFERENCE, REFERENCES, FieldType, array_of

# The C side keeps a record's number of fields in a byte.
MAX_FIELDS = 255
MAX_RECORD_BYTES = 1 << 16


@dataclass(frozen=True)
class PlacedField:
    """A field and its place in the record."""

    name: str
    type: FieldType
    offset: int
    presence: int = 0  # 1 + the bit that says that an optional number is there
    default: object = NotImplemented

    def describe(self) -> tuple[object, ...]:
        """Return what the native side wants to know."""
        kind = self.type
        optional = kind.optional or self.default is None
        numbers = (kind.code, self.offset, kind.length, self.presence, kind.element)
        return (self.name, *numbers, kind.is_array, optional, kind.target, self.default)


@dataclass(frozen=True)
class RecordLayout:
    """Where everything lies in a record of one class."""

    size: int = 0
    fields: tuple[PlacedField, ...] = ()
    runs: tuple[tuple[int, int], ...] = ()  # (offset, number) of references side by side
    by_name: dict[str, PlacedField] = field(default_factory=dict, compare=False)


def _alignment(kind: FieldType) -> int:
    return min(kind.size, 8)


def _place_numbers(wanted: list[tuple[str, FieldType]], start: int) -> tuple[dict[str, int], int]:
    """Give each number an offset: the widest that is aligned where the last one ended."""
    offsets: dict[str, int] = {}
    left = sorted(wanted, key=lambda one: -_alignment(one[1]))
    at = start
    while left:
        fitting = next((one for one in left if at % _alignment(one[1]) == 0), None)
        if fitting is None:
            at += 1
            continue
        left.remove(fitting)
        name, kind = fitting
        offsets[name] = at
        at += kind.size * kind.length
    return offsets, at


def lay_out(
    wanted: Mapping[str, tuple[FieldType, object]], base: RecordLayout, reference_bytes: int
) -> RecordLayout:
    """Place the fields `wanted` (name: type, default) behind those of `base`."""
    references = [(name, kind) for name, (kind, _) in wanted.items() if kind.is_reference]
    numbers = [(name, kind) for name, (kind, _) in wanted.items() if not kind.is_reference]
    start = -(-base.size // reference_bytes) * reference_bytes if references else base.size
    offsets = {name: start + reference_bytes * i for i, (name, _) in enumerate(references)}
    number_offsets, end = _place_numbers(numbers, start + reference_bytes * len(references))
    offsets |= number_offsets
    optional = [name for name, kind in numbers if kind.optional]
    presence = {name: 8 * end + i + 1 for i, name in enumerate(optional)}
    placed = tuple(
        PlacedField(name, kind, offsets[name], presence.get(name, 0), default)
        for name, (kind, default) in wanted.items()
    )
    fields = base.fields + placed
    size = end + (len(optional) + 7) // 8
    if len(fields) > MAX_FIELDS:
        raise ValueError(f"a record class has at most {MAX_FIELDS} fields, not {len(fields)}")
    if size > MAX_RECORD_BYTES:
        raise ValueError(f"a record has at most {MAX_RECORD_BYTES} bytes, not {size}")
    runs = base.runs + (((start, len(references)),) if references else ())
    return RecordLayout(max(size, 1), fields, runs, {one.name: one for one in fields})


def declared_fields(
    cls: type,
    names: Mapping[str, object],
    is_record: Callable[[object], bool],
    container_of: Callable[[types.GenericAlias], object],
) -> dict[str, tuple[FieldType, object]]:
    """Return what the annotations of a class mean, each with its default."""
    return {
        name: (
            field_type(one, names, is_record, container_of),
            cls.__dict__.get(name, NotImplemented),
        )
        for name, one in get_annotations(cls).items()
    }


class _ForwardName:
    """A name in an annotation that is not defined yet: of a record class to come."""

    def __init__(self, name: str) -> None:
        self.type = FieldType(name, REFERENCE, 0, target=name)

    def __or__(self, other: object) -> FieldType:
        return self.type | other

    __ror__ = __or__


class _Names(dict[str, object]):
    """The names an annotation may use; unknown ones are forward references."""

    def __missing__(self, name: str) -> object:
        return _ForwardName(name)


def field_type(
    annotation: object,
    names: Mapping[str, object],
    is_record: Callable[[object], bool],
    container_of: Callable[[types.GenericAlias], object],
) -> FieldType:
    """Return what an annotation means; TypeError when it is none that a record can hold."""
    if isinstance(annotation, str):
        known = _Names({**vars(builtins), **names})
        annotation = eval(annotation, {"__builtins__": {}}, known)
    if isinstance(annotation, _ForwardName):
        annotation = annotation.type
    if isinstance(annotation, types.UnionType):
        inner = [one for one in annotation.__args__ if one is not type(None)]
        if len(inner) == 1 and len(annotation.__args__) == 2:
            return field_type(inner[0], names, is_record, container_of) | None
    if isinstance(annotation, types.GenericAlias):
        annotation = container_of(annotation)
    if isinstance(annotation, FieldType):
        if annotation.code != REFERENCES:
            return annotation
        element = field_type(annotation.target, names, is_record, container_of)
        return replace(array_of(element), optional=annotation.optional)
    if isinstance(annotation, type):
        if annotation in BUILTIN:
            builtin: FieldType = BUILTIN[annotation]
            return builtin
        if is_record(annotation):
            return FieldType(annotation.__name__, REFERENCE, 0, target=annotation)
    raise TypeError(
        f"{annotation!r} is nothing that a record can hold: "
        "use trimalloc.int64 and its like, Bytes, Str, Array, Vec, or a record class"
    )
