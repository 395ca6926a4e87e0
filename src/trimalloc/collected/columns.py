"""Numbers on their way into columns.

An array follows NumPy's rule of the same kind, at the speed of memory: real numbers may lose digits
or become infinite, as NumPy has it, but are never cut to whole ones. Python's own numbers, in a
list or alone, are converted one by one, as those that are written to a single record.
"""

from __future__ import annotations

from array import array
from typing import Any

from trimalloc.collected.fields import FieldType
from trimalloc.optional_numpy import numpy_or_none

_WHOLE = "biu"  # NumPy's kinds of whole numbers
_NEEDED = {**dict.fromkeys(_WHOLE, "whole numbers"), "f": "real numbers", "c": "numbers"}


def is_array(given: object) -> bool:
    """Whether it has numbers of one type, which need no look at each."""
    return hasattr(given, "__array__") or isinstance(given, (array, memoryview))


def converted(kind: FieldType, given: Any) -> Any:
    """Return an array as one of the type of a field; Python's own numbers as they are.

    TypeError: numbers of another kind. OverflowError: whole numbers that do not fit.
    """
    numpy = numpy_or_none()
    if numpy is None or not is_array(given):
        return given
    numbers = numpy.asarray(given, order="C")
    wanted = numpy.dtype(kind.numpy)
    if numbers.dtype == wanted:
        return numbers
    if numbers.dtype.kind == "O":
        return numbers.tolist()
    are_whole = numbers.dtype.kind in _WHOLE and wanted.kind in _WHOLE
    if numbers.size and not are_whole and not numpy.can_cast(numbers.dtype, wanted, "same_kind"):
        raise TypeError(f"{_NEEDED[wanted.kind]} are needed, not {numbers.dtype}")
    column = numbers.astype(wanted)
    if are_whole and not numpy.can_cast(numbers.dtype, wanted) and (column != numbers).any():
        raise OverflowError(f"a number does not fit {wanted}")
    return column


def number_column(kind: FieldType, given: Any) -> Any:
    """Return int64 or float64 numbers as a contiguous buffer."""
    numbers = converted(kind, given)
    if hasattr(numbers, "dtype"):
        if numbers.ndim != 1:
            raise ValueError(f"a column has one dimension, not {numbers.ndim}")
        return numbers
    code = typecode(kind)
    if isinstance(numbers, array) and numbers.typecode == code:
        return numbers
    # Of bytes it would take eight for a number.
    return array(code, numbers if isinstance(numbers, (list, tuple, range)) else list(numbers))


def typecode(kind: FieldType) -> str:
    """Return what the array module calls int64 or float64."""
    return "q" if kind.numpy == "i8" else "d"
