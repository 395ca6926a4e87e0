"""As much of the ELF format as it takes to see how a program finds malloc.

64-bit little-endian files only: what trimalloc is built for. Everything is read from the program
headers and the dynamic section, as the loader does, because section headers may be stripped.
"""

from __future__ import annotations

import os
import struct

_HEADER = struct.Struct("<16sHHIQQQIHHH")  # up to e_phnum
_PROGRAM_HEADER = struct.Struct("<IIQQQQQQ")
_DYNAMIC_ENTRY = struct.Struct("<qQ")
_SYMBOL_BYTES = 24
_RELOCATION = struct.Struct("<QQq")

_CLASS_64, _LITTLE_ENDIAN = 2, 1
_LOAD, _DYNAMIC, _INTERPRETER = 1, 2, 3
_STRINGS, _SYMBOLS, _RELOCATIONS, _RELOCATIONS_BYTES = 5, 6, 7, 8
_PLT_RELOCATIONS, _PLT_RELOCATIONS_BYTES = 23, 2

MACHINES = {62: "x86-64", 183: "aarch64"}
# By machine, the relocations of slots that only the loader writes: GLOB_DAT and JUMP_SLOT. Pointers
# in data, which a library may overwrite (libmpdec's own malloc pointer), are of another type.
_SLOT_TYPES = {62: (6, 7), 183: (1025, 1026)}


class NotElfError(ValueError):
    """The file is not a 64-bit little-endian ELF file."""


class ElfFile:
    """One file, opened for as long as it is asked about."""

    def __init__(self, path: str) -> None:
        self._file = open(path, "rb")  # noqa: SIM115, PTH123 (closed by __exit__; no pathlib here)
        try:
            self._read_headers()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> ElfFile:
        """Return the file itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._file.close()

    def _read_headers(self) -> None:
        header = self._file.read(_HEADER.size)
        if len(header) < _HEADER.size or header[:4] != b"\x7fELF":
            raise NotElfError("is not an ELF file")
        if header[4] != _CLASS_64 or header[5] != _LITTLE_ENDIAN:
            raise NotElfError("is not a 64-bit little-endian program")
        _, _, self.machine, _, _, offset, _, _, _, _, count = _HEADER.unpack(header)
        table = os.pread(self._file.fileno(), count * _PROGRAM_HEADER.size, offset)
        self._segments = list(_PROGRAM_HEADER.iter_unpack(table))

    def _segment(self, kind: int) -> bytes:
        for type_, _flags, offset, _vaddr, _paddr, file_bytes, *_ in self._segments:
            if type_ == kind:
                return os.pread(self._file.fileno(), file_bytes, offset)
        return b""

    @property
    def interpreter(self) -> str:
        """The dynamic loader that the program asks for; empty for libraries and static programs."""
        return self._segment(_INTERPRETER).rstrip(b"\0").decode(errors="surrogateescape")

    @property
    def first_address(self) -> int:
        """The address that the file's first loaded segment asks for, before it is moved."""
        return min(int(segment[3]) for segment in self._segments if segment[0] == _LOAD)

    def references(self, symbol: str) -> list[int]:
        """Return the addresses, before the file is moved, of the slots that hold ``symbol``."""
        slot_types = _SLOT_TYPES.get(self.machine, ())
        dynamic = dict(_DYNAMIC_ENTRY.iter_unpack(self._segment(_DYNAMIC)))
        if _SYMBOLS not in dynamic or _STRINGS not in dynamic:
            return []
        tables = (
            (_RELOCATIONS, _RELOCATIONS_BYTES),
            (_PLT_RELOCATIONS, _PLT_RELOCATIONS_BYTES),
        )
        slots: set[int] = set()
        verdicts: dict[int, bool] = {0: False}  # by symbol number; 0 is no symbol
        for address_tag, bytes_tag in tables:
            if address_tag not in dynamic:
                continue
            table = self._read_address(dynamic[address_tag], dynamic[bytes_tag])
            for slot, info, _addend in _RELOCATION.iter_unpack(table):
                number = info >> 32
                if info & 0xFFFFFFFF not in slot_types:
                    continue
                if number not in verdicts:
                    verdicts[number] = self._symbol_name(dynamic, number) == symbol
                if verdicts[number]:
                    slots.add(slot)
        return sorted(slots)

    def _symbol_name(self, dynamic: dict[int, int], number: int) -> str:
        entry = self._read_address(dynamic[_SYMBOLS] + number * _SYMBOL_BYTES, 4)
        text = self._read_address(dynamic[_STRINGS] + int.from_bytes(entry, "little"), 64)
        return text.partition(b"\0")[0].decode(errors="replace")

    def _read_address(self, address: int, size: int) -> bytes:
        for type_, _flags, offset, vaddr, _paddr, file_bytes, *_ in self._segments:
            if type_ == _LOAD and vaddr <= address < vaddr + file_bytes:
                return os.pread(self._file.fileno(), size, offset + address - vaddr)
        return b""
