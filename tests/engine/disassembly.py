"""Functions of a built library, instruction by instruction, as objdump sees them."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_HEAD = re.compile(r"^([0-9a-f]+) <([^>]+)>:$")
_INSTRUCTION = re.compile(r"^\s*([0-9a-f]+):\s+(.*?)\s*(?:#.*)?$")
_TARGET = re.compile(r"\b([0-9a-f]+) <([^>+]+)(?:\+0x[0-9a-f]+)?>")


@dataclass(frozen=True)
class Instruction:
    """One instruction: where it is and what it says."""

    address: int
    text: str

    @property
    def mnemonic(self) -> str:
        """Its first word, prefixes included as words of their own before it."""
        return self.text.split(maxsplit=1)[0]

    @property
    def target(self) -> tuple[int, str] | None:
        """Where a jump or call goes: the address, and the function that is there."""
        found = _TARGET.search(self.text)
        return (int(found[1], 16), found[2]) if found else None

    @property
    def is_conditional(self) -> bool:
        """Whether it is a conditional branch."""
        return self.mnemonic.startswith("j") and self.mnemonic != "jmp"

    @property
    def is_locked(self) -> bool:
        """Whether it is an atomic read-modify-write; xchg with memory is one without saying so."""
        exchanges = self.mnemonic == "xchg" and "(" in self.text
        return "lock" in self.text.split() or exchanges


@dataclass(frozen=True)
class Function:
    """A function and its instructions, in the order in which they lie."""

    name: str
    instructions: tuple[Instruction, ...]

    @property
    def straight_line(self) -> tuple[Instruction, ...]:
        """From the entry to the first return: the path on which no branch is taken."""
        path = []
        for instruction in self.instructions:
            path.append(instruction)
            if instruction.mnemonic == "ret":
                return tuple(path)
        raise AssertionError(f"{self.name} has no return")

    def at(self, address: int) -> Instruction:
        """Return the instruction at `address`, which must be inside."""
        return next(one for one in self.instructions if one.address == address)


@cache
def functions_of(library: Path) -> dict[str, Function]:
    """Return every named function of `library`."""
    text = subprocess.run(
        ["objdump", "-d", "--no-show-raw-insn", str(library)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    functions: dict[str, Function] = {}
    name = ""
    lines: list[Instruction] = []
    for line in text.splitlines():
        if head := _HEAD.match(line):
            name, lines = head[2], []
        elif name and (found := _INSTRUCTION.match(line)):
            lines.append(Instruction(int(found[1], 16), found[2]))
            functions[name] = Function(name, tuple(lines))
    return functions
