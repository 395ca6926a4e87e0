"""What a class of containers holds, and how columns of it go in and out."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from trimalloc.collected.columns import is_array, number_column, typecode
from trimalloc.collected.fields import BUILTIN, BYTES, REFERENCE, FieldType
from trimalloc.collected.width import is_record_class
from trimalloc.optional_numpy import numpy_or_none

INT64, FLOAT64 = 5, 12
# Keys that an iteration fetches at once.
STEP = 1024


@dataclass(frozen=True)
class ContainerKind:
    """The types of a class of containers."""

    key: FieldType
    value: FieldType
    heap: Any

    def value_class(self) -> type:
        """Return the record class of the values, which may have been declared later."""
        target = self.value.target
        if isinstance(target, str):
            target = self.heap._classes.get(target)
        if not isinstance(target, type):
            raise TypeError(f"{self.value.name} is not declared yet: declare it with @heap.record")
        return target


def _named(what: object) -> FieldType:
    """Return the type that a program names; a FieldType of no use when it is nothing known."""
    if isinstance(what, FieldType):
        return what
    if isinstance(what, type) and is_record_class(what):
        return FieldType(what.__name__, REFERENCE, 0, target=what)
    if isinstance(what, type) and what in BUILTIN:
        known: FieldType = BUILTIN[what]
        return known
    forward = getattr(what, "type", None)  # a name in an annotation, of a class to come
    return forward if isinstance(forward, FieldType) else FieldType(repr(what), 0, 0)


def key_type(what: object) -> FieldType:
    """Return the type of keys, or raise TypeError."""
    found = _named(what)
    if found.code not in (INT64, BYTES) or found.is_array:
        raise TypeError(f"keys are trimalloc.int64 or bytes, not {found.name}")
    return found


def priority_type(what: object) -> FieldType:
    """Return the type of priorities, or raise TypeError."""
    found = _named(what)
    if found.code not in (INT64, FLOAT64) or found.is_array:
        raise TypeError(f"priorities are trimalloc.int64 or trimalloc.float64, not {found.name}")
    return found


def value_type(what: object, heap: object) -> FieldType:
    """Return the type of values, or raise TypeError."""
    found = _named(what)
    if found.code not in (INT64, FLOAT64, BYTES, REFERENCE) or found.is_array:
        raise TypeError(
            "values are trimalloc.int64, trimalloc.float64, bytes or records of a class, "
            f"not {found.name}"
        )
    owner = getattr(found.target, "__trimalloc_heap__", heap)
    if owner is not heap:
        raise ValueError(f"{found.name} is a record class of another heap")
    return found


def byte_column(given: Any) -> Sequence[bytes]:
    """Return bytes as a list or tuple."""
    if isinstance(given, (list, tuple)):
        return given
    return list(given.tolist() if hasattr(given, "tolist") else given)


def column(kind: FieldType, given: Any) -> Any:
    """Return keys or values as the native side takes them."""
    return byte_column(given) if kind.code == BYTES else number_column(kind, given)


def empty_numbers(kind: FieldType, count: int, fill: float) -> Any:
    """Return a column of `count` numbers that are all `fill`."""
    numpy = numpy_or_none()
    one = array(typecode(kind), [fill])
    return one * count if numpy is None else numpy.full(count, one[0], kind.numpy)


def empty_flags(count: int) -> Any:
    """Return a column of `count` False."""
    numpy = numpy_or_none()
    return bytearray(count) if numpy is None else numpy.zeros(count, "?")


def sink_for(kind: ContainerKind, count: int) -> Any:
    """Return what the native side puts a column of values into, or makes it of."""
    if kind.value.code == BYTES:
        return None
    if kind.value.code == REFERENCE:
        return kind.value_class()
    return empty_numbers(kind.value, count, 0)


def values_for(kind: ContainerKind, given: Any) -> Any:
    """Return values, one for each key or one for all, as the native side takes them."""
    code = kind.value.code
    if code == REFERENCE or (code == BYTES and isinstance(given, bytes)):
        return given
    if code != BYTES and not hasattr(given, "__len__"):
        return given.item() if is_array(given) else given  # NumPy's own one number is a buffer
    return column(kind.value, given)
