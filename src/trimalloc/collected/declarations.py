"""The text of a saved heap: its record classes, and which roots it names.

Classes stand in the order in which they were declared, because pages name them by number. Methods
are not saved: a program that has the classes binds them when it opens the file.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from trimalloc.collected import fields
from trimalloc.collected.fields import FieldType
from trimalloc.collected.heap_file_error import HeapFileError
from trimalloc.collected.layout import PlacedField, RecordLayout

_NUMBERS: dict[int, Any] = {
    one.code: one for one in vars(fields).values() if isinstance(one, FieldType) and one.numpy
}


@dataclass(frozen=True)
class SavedContainer:
    """What a class of containers holds; `value` may name a class of the file."""

    face: str
    key: FieldType
    value: FieldType


@dataclass(frozen=True)
class SavedClass:
    """A record class as the file has it."""

    name: str
    base: str | None
    layout: RecordLayout
    container: SavedContainer | None = None


@dataclass(frozen=True)
class SavedRoot:
    """Where a root's references are in the file, and of which class a batch is."""

    first: int
    count: int
    batch_of: int | None  # number of the class; None: a single record


@dataclass(frozen=True)
class Declarations:
    """All of the text."""

    classes: tuple[SavedClass, ...]
    roots: dict[str, SavedRoot]


# --- defaults -------------------------------------------------------------------------------


def _pack_default(value: object, where: str) -> object:
    if value is NotImplemented:
        return []
    if value is None or isinstance(value, (bool, int, float, str)):
        return [value]
    if isinstance(value, (bytes, bytearray)):
        return {"bytes": value.hex()}
    if isinstance(value, complex):
        return {"complex": [value.real, value.imag]}
    if isinstance(value, (list, tuple)) and all(type(one) in (bool, int, float) for one in value):
        return [list(value)]
    raise TypeError(f"the default of {where} cannot be saved: {value!r}")


def _unpack_default(packed: Any) -> object:
    if isinstance(packed, dict):
        return bytes.fromhex(packed["bytes"]) if "bytes" in packed else complex(*packed["complex"])
    return packed[0] if packed else NotImplemented


# --- fields ---------------------------------------------------------------------------------


def _pack_field(class_name: str, one: PlacedField) -> dict[str, object]:
    kind = one.type
    target = getattr(kind.target, "__name__", kind.target)
    return {
        "name": one.name,
        "code": kind.code,
        "offset": one.offset,
        "length": kind.length,
        "presence": one.presence,
        "element": kind.element,
        "array": kind.is_array,
        "optional": kind.optional,
        "target": target,
        "default": _pack_default(one.default, f"{class_name}.{one.name}"),
    }


def _field_type(packed: dict[str, Any]) -> FieldType:
    code, target = packed["code"], packed["target"]
    made: Any = fields  # where type checkers see types, there are values
    if code == fields.REFERENCE:
        kind = FieldType(target or "Ref", code, 0, target=target)
    elif code == fields.REFERENCES:
        kind = FieldType("Vec[...]", code, 0, target=target)
    elif code == fields.SCALARS:
        kind = made.Vec[_NUMBERS[packed["element"]]]
    elif code in (fields.BYTES, fields.TEXT):
        kind = made.Bytes if code == fields.BYTES else made.Str
    elif packed["array"]:
        kind = made.Array[_NUMBERS[code], packed["length"]]
    else:
        kind = _NUMBERS[code]
    return replace(kind, optional=packed["optional"])


def _unpack_field(packed: dict[str, Any]) -> PlacedField:
    default = _unpack_default(packed["default"])
    return PlacedField(
        packed["name"], _field_type(packed), packed["offset"], packed["presence"], default
    )


# --- classes --------------------------------------------------------------------------------


def _pack_class(declared: type, numbers: dict[type, int]) -> dict[str, object]:
    layout: RecordLayout = declared.__layout__  # type: ignore[attr-defined]
    base = declared.__bases__[0]  # of a class of containers, its face
    kind = getattr(declared, "__container__", None)
    container = None
    if kind is not None:
        target = getattr(kind.value.target, "__name__", kind.value.target)
        container = [base.__name__, kind.key.code, kind.value.code, target]
    return {
        "container": container,
        "name": declared.__name__,
        "base": numbers.get(base),
        "bytes": layout.size,
        "runs": layout.runs,
        "fields": [_pack_field(declared.__name__, one) for one in layout.fields],
    }


def _unpack_class(packed: dict[str, Any], before: list[SavedClass]) -> SavedClass:
    placed = tuple(_unpack_field(one) for one in packed["fields"])
    runs = tuple((offset, count) for offset, count in packed["runs"])
    layout = RecordLayout(packed["bytes"], placed, runs, {one.name: one for one in placed})
    base = packed["base"]
    of = packed["container"]
    container = None if of is None else _unpack_container(*of)
    base_name = None if base is None else before[base].name
    return SavedClass(packed["name"], base_name, layout, container)


def _unpack_container(face: str, key: int, value: int, target: str | None) -> SavedContainer:
    def of_code(code: int) -> FieldType:
        packed = {"code": code, "target": target, "array": False, "optional": False}
        return _field_type(packed)

    return SavedContainer(face, of_code(key), of_code(value))


def pack(classes: list[type], roots: dict[str, SavedRoot]) -> bytes:
    """Return the text for a file."""
    numbers = {declared: number for number, declared in enumerate(classes)}
    told = {
        "classes": [_pack_class(one, numbers) for one in classes],
        "roots": {name: [one.first, one.count, one.batch_of] for name, one in roots.items()},
    }
    return json.dumps(told, separators=(",", ":")).encode()


def unpack(text: bytes) -> Declarations:
    """Return what the text says, which has passed its checksum."""
    told = json.loads(text)
    classes: list[SavedClass] = []
    for packed in told["classes"]:
        classes.append(_unpack_class(packed, classes))
    return Declarations(
        tuple(classes), {name: SavedRoot(*one) for name, one in told["roots"].items()}
    )


# --- comparing ------------------------------------------------------------------------------


def _describe(layout: RecordLayout, name: str) -> str:
    one = layout.by_name.get(name)
    if one is None:
        return "has no such field"
    target = getattr(one.type.target, "__name__", one.type.target)
    aimed = f" to {target}" if target is not None else ""
    optional = " | None" if one.type.optional else ""
    return f"has it as {one.type.name}{aimed}{optional} at byte {one.offset}"


def check_same(name: str, program: RecordLayout, file: RecordLayout) -> None:
    """Compare how the program and the file lay out a class; HeapFileError with the difference."""
    names = dict.fromkeys([*file.by_name, *program.by_name])
    # A field too many, or of another type, moves others: those are no news.
    for compared in (_presence, _kind, _place):
        for field in names:
            if compared(program.by_name.get(field)) != compared(file.by_name.get(field)):
                raise HeapFileError(
                    f"class {name}, field {field!r}: the program {_describe(program, field)}, "
                    f"the file {_describe(file, field)}"
                )
    if (program.size, program.runs) != (file.size, file.runs):
        raise HeapFileError(
            f"class {name}: {program.size} bytes in the program, {file.size} in the file"
        )


def _presence(one: PlacedField | None) -> bool:
    return one is not None


def _kind(one: PlacedField | None) -> tuple[object, ...]:
    if one is None:
        return ()
    kind = one.type
    target = getattr(kind.target, "__name__", kind.target)
    return (kind.code, kind.length, kind.element, kind.is_array, kind.optional, target)


def _place(one: PlacedField | None) -> tuple[object, ...]:
    return () if one is None else (one.offset, one.presence)
