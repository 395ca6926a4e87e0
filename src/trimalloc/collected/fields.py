"""What a field of a record can be: the names that stand in the annotations of a record class.

For type checkers they are the types that reading the field gives; at run time they are markers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Generic, Literal, TypeAlias, TypeVar

    _T = TypeVar("_T")
    _N = TypeVar("_N", bound=int)

# The codes of bindings/collected/state.h.
REFERENCE, BYTES, TEXT, SCALARS, REFERENCES = 32, 33, 34, 35, 36


@dataclass(frozen=True)
class FieldType:
    """How a field is stored, and what NumPy calls it."""

    name: str
    code: int
    size: int  # bytes; 0: a reference, which is as wide as its heap says
    numpy: str = ""  # dtype of a number
    length: int = 1  # elements of a fixed array
    is_array: bool = False
    optional: bool = False
    element: int = 6  # code of a variable array's elements
    target: object = None  # record class, or the name of one, that a reference is restricted to

    def __or__(self, other: object) -> FieldType:
        """Return the optional field: ``int64 | None``."""
        if other is not None and other is not type(None):
            return NotImplemented
        return replace(self, optional=True)

    __ror__ = __or__

    @property
    def is_reference(self) -> bool:
        """Whether the record holds a reference and the value lies elsewhere."""
        return self.code >= REFERENCE


class _FixedArray:
    """``Array[float32, Literal[8]]`` or ``Array[float32, 8]``: eight numbers in the record."""

    def __getitem__(self, parameters: tuple[FieldType, object]) -> FieldType:
        element, length = parameters
        count = getattr(length, "__args__", (length,))[0]
        if not isinstance(element, FieldType) or element.is_reference or element.is_array:
            raise TypeError(f"Array takes a number type and a length, not {element!r}")
        if not isinstance(count, int) or not 0 < count <= 4096:
            raise ValueError(f"Array takes a length from 1 to 4096, not {count!r}")
        return replace(element, name=f"Array[{element.name}, {count}]", length=count, is_array=True)


def array_of(element: FieldType) -> FieldType:
    """Return as many of what a field of type `element` holds as each record needs."""
    if element.code == REFERENCE:  # each may be None
        return FieldType("Vec[...]", REFERENCES, 0, target=element.target)
    if element.is_reference or element.is_array or element.optional:
        raise TypeError(f"Vec takes a number type or a record class, not {element.name}")
    name = f"Vec[{element.name}]"
    return FieldType(name, SCALARS, 0, element=element.code, numpy=element.numpy)


class _VariableArray:
    """``Vec[int64]`` or ``Vec[Vertex]``: as many elements as each record needs."""

    def __getitem__(self, element: object) -> FieldType:
        if isinstance(element, FieldType):
            return array_of(element)
        # What it means is known when the class is declared: layout.field_type.
        return FieldType("Vec[...]", REFERENCES, 0, target=element)


if TYPE_CHECKING:
    bool_: TypeAlias = bool
    int8: TypeAlias = int
    int16: TypeAlias = int
    int32: TypeAlias = int
    int64: TypeAlias = int
    uint8: TypeAlias = int
    uint16: TypeAlias = int
    uint32: TypeAlias = int
    uint64: TypeAlias = int
    float16: TypeAlias = float
    float32: TypeAlias = float
    float64: TypeAlias = float
    complex64: TypeAlias = complex
    complex128: TypeAlias = complex
    Bytes: TypeAlias = bytes
    Str: TypeAlias = str

    class Array(Generic[_T, _N]):
        """Numbers in the record itself; ``Array[float32, Literal[8]]``."""

    class Vec(Generic[_T]):
        """Numbers or references beside the record."""

    Eight = Literal[8]
else:
    bool_ = FieldType("bool_", 1, 1, "?")
    int8 = FieldType("int8", 2, 1, "i1")
    int16 = FieldType("int16", 3, 2, "i2")
    int32 = FieldType("int32", 4, 4, "i4")
    int64 = FieldType("int64", 5, 8, "i8")
    uint8 = FieldType("uint8", 6, 1, "u1")
    uint16 = FieldType("uint16", 7, 2, "u2")
    uint32 = FieldType("uint32", 8, 4, "u4")
    uint64 = FieldType("uint64", 9, 8, "u8")
    float16 = FieldType("float16", 10, 2, "f2")
    float32 = FieldType("float32", 11, 4, "f4")
    float64 = FieldType("float64", 12, 8, "f8")
    complex64 = FieldType("complex64", 13, 8, "c8")
    complex128 = FieldType("complex128", 14, 16, "c16")
    Bytes = FieldType("Bytes", BYTES, 0)
    Str = FieldType("Str", TEXT, 0)
    Array = _FixedArray()
    Vec = _VariableArray()

# What Python's own types mean in an annotation.
BUILTIN: dict[type, Any] = {
    bool: bool_,
    int: int64,
    float: float64,
    complex: complex128,
    bytes: Bytes,
    str: Str,
}
