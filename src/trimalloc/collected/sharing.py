"""A heap shared with C: its address, its records as references, its classes as C structures.

The rule: a reference is good for as long as something else keeps the record, a handle here or a
root there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

from trimalloc.collected.containers.kinds import FLOAT64, INT64
from trimalloc.collected.fields import BYTES, REFERENCE, FieldType
from trimalloc.collected.layout import RecordLayout
from trimalloc.collected.width import NativeHeap

_C = TypeVar("_C")

# C types by what NumPy calls the number, and into how many of them it is taken apart: half floats
# have no type of C's own, and complex numbers none that C++ knows, too.
_NUMBERS = {
    **{f"i{n}": (f"int{8 * n}_t", 1) for n in (1, 2, 4, 8)},
    **{f"u{n}": (f"uint{8 * n}_t", 1) for n in (1, 2, 4, 8)},
    **{"?": ("uint8_t", 1), "f2": ("uint16_t", 1), "f4": ("float", 1), "f8": ("double", 1)},
    **{"c8": ("float", 2), "c16": ("double", 2)},
}
# Names of fields that are no names in C or C++; those get an underscore.
_KEYWORDS = """
alignas alignof and asm auto bool break case catch char class const constexpr continue default
delete do double else enum explicit export extern false float for friend goto if inline int long
mutable namespace new noexcept not nullptr operator or private protected public register restrict
return short signed sizeof static struct switch template this throw true try typedef typeid
typename typeof union unsigned using virtual void volatile while xor
"""

# The numbers of include/trimalloc/containers.h: of kinds, and of content by the codes of fields.
_KINDS = {"List": 0, "Map": 1, "LRU": 2, "Trie": 3, "PriorityQueue": 4}
_CONTENT = {BYTES: 2, REFERENCE: 3, INT64: 0, FLOAT64: 1}


@dataclass(frozen=True)
class CLayout:
    """What C, Cython or Numba has to know of a record class."""

    name: str
    type: int
    """The class's ``trimalloc_type`` in the heap."""
    size: int
    """Bytes of a record."""
    offsets: Mapping[str, int]
    """Where each field begins. References are stored by ``trimalloc_store`` only."""
    declaration: str
    """A C structure with the fields in their places; what there is between them has names, too."""
    container: tuple[int, int, int] | None = None
    """Of a class of containers, the other numbers of its ``trimalloc_containers``."""


def _c_field(name: str, kind: FieldType) -> str:
    spelled = f"{name}_" if name in _KEYWORDS.split() else name
    c_type, parts = ("trimalloc_ref", 1) if kind.is_reference else _NUMBERS[kind.numpy]
    count = parts * kind.length
    return f"{c_type} {spelled}[{count}]" if kind.is_array or parts > 1 else f"{c_type} {spelled}"


def _declaration(name: str, layout: RecordLayout, reference_bytes: int) -> str:
    lines: list[str] = []
    at = 0

    def fill(end: int) -> None:
        if end > at:
            lines.append(f"  uint8_t filler_{at}[{end - at}];")

    for one in sorted(layout.fields, key=lambda field: field.offset):
        fill(one.offset)
        lines.append(f"  {_c_field(one.name, one.type)};")
        size = reference_bytes if one.type.is_reference else one.type.size
        at = one.offset + size * one.type.length
    fill(layout.size)
    return "\n".join([f"struct {name} {{", *lines, "};", ""])


def _container(record_class: Any) -> tuple[int, int, int] | None:
    kind = getattr(record_class, "__container__", None)
    if kind is None:
        return None
    face = next(_KINDS[one.__name__] for one in record_class.__mro__ if one.__name__ in _KINDS)
    return face, _CONTENT[kind.key.code], _CONTENT[kind.value.code]


class Sharing(NativeHeap):
    """The part of a heap that extensions in other languages use."""

    _native: Any
    _references: int

    @property
    def address(self) -> int:
        """Where the heap is, for ``trimalloc_heap_at``: as long as this object is held."""
        address: int = self._native._address(self)
        return address

    def c_layout(self, record_class: type | str) -> CLayout:
        """Describe a record class, or the one of that name, for C."""
        found: Any = record_class
        if isinstance(record_class, str):
            found = self._classes.get(record_class)
            if found is None:
                known = ", ".join(self._classes) or "none"
                raise ValueError(f"the heap has no class {record_class!r}; it has {known}")
        if getattr(found, "__trimalloc_heap__", None) is not self:
            raise TypeError(f"a record class of this heap is needed, not {found!r}")
        layout: RecordLayout = found.__layout__
        name: str = found.__name__
        return CLayout(
            name,
            self._native._type_number(found),
            layout.size,
            MappingProxyType({one.name: one.offset for one in layout.fields}),
            _declaration(name, layout, self._references // 8) if name.isidentifier() else "",
            _container(found),
        )

    def to_reference(self, record: Any) -> int:
        """Return the reference that names a record in C: good while something keeps the record."""
        reference: int = self._native._to_reference(self, record)
        return reference

    def from_reference(self, reference: int, record_class: type[_C] | None = None) -> Any:
        """Return a handle of the record that a reference names.

        Any number may be given. ValueError: no record lives there; TypeError: it is none of the
        class ``record_class``. Places that are ready for the next records count as records, which
        read as zero.
        """
        record = self._native._from_reference(self, reference)
        if record_class is not None and not isinstance(record, record_class):
            raise TypeError(
                f"reference {reference} names a {type(record).__name__}, "
                f"not a {record_class.__name__}"
            )
        return record
