"""The machine code of malloc and free, and what the built library asks of a process.

The budgets are those of engine/frontends/malloc/engine.h. They hold for the compilers that the
project is built with; a new one that needs an instruction more is a reason to look, not to panic.
"""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from .disassembly import Function, functions_of
from .exported_symbols import GOLDEN_FILE, exported_symbols

# Where caches belong to processors, the name and the number of the sequence come on top.
INSTRUCTIONS = {
    "thread": {"malloc": 16, "free": 18, "_ZdlPv": 18, "_ZdlPvm": 18},
    "cpu": {"malloc": 21, "free": 22, "_ZdlPv": 22, "_ZdlPvm": 22},
}
BRANCHES = 3
TLS_BYTES = 16
NEEDED = {"libc.so.6", "ld-linux-x86-64.so.2"}

pytestmark = [
    pytest.mark.skipif(platform.machine() != "x86_64", reason="the budgets are for x86-64"),
    pytest.mark.skipif(
        shutil.which("objdump") is None or shutil.which("readelf") is None,
        reason="objdump or readelf is missing: install binutils",
    ),
]


@pytest.fixture(params=INSTRUCTIONS)
def caches(request: pytest.FixtureRequest) -> str:
    """Whose caches the library tries first."""
    return str(request.param)


@pytest.fixture(params=INSTRUCTIONS["thread"])
def fast_path(request: pytest.FixtureRequest, caches: str, library: Path) -> Function:
    path = library.parent / "cpu" / library.name if caches == "cpu" else library
    return functions_of(path)[str(request.param)]


def test_stays_within_its_budget(
    fast_path: Function, caches: str, record_property: Callable[[str, object], None]
) -> None:
    path = fast_path.straight_line
    branches = sum(one.is_conditional for one in path)
    print(f"{fast_path.name}: {len(path)} instructions, {branches} branches")
    record_property("instructions", len(path))
    record_property("branches", branches)
    assert len(path) <= INSTRUCTIONS[caches][fast_path.name]
    assert branches <= BRANCHES


def test_calls_nothing_and_takes_no_lock(fast_path: Function) -> None:
    for instruction in fast_path.instructions:
        assert instruction.mnemonic != "call"
        assert not instruction.is_locked
        assert "fence" not in instruction.mnemonic


def test_leaves_by_tail_jumps_only(fast_path: Function) -> None:
    """The slow half returns to malloc's caller, whose address it asks for."""
    for branch in (one for one in fast_path.straight_line if one.is_conditional):
        assert branch.target is not None
        address, function = branch.target
        if function == fast_path.name:
            exit_jump = fast_path.at(address)
            assert exit_jump.mnemonic == "jmp"
            assert exit_jump.target is not None
            function = exit_jump.target[1]
        assert "tri" in function
        assert "slow" in function or "other_way" in function


def test_keeps_nothing_on_the_stack(fast_path: Function) -> None:
    """Whoever it leaves for returns to its caller (engine/platform/tail_jump.h)."""
    for instruction in fast_path.instructions:
        assert instruction.mnemonic not in {"push", "pop"}
        assert "rsp" not in instruction.text


def _readelf(option: str, library: Path) -> str:
    return subprocess.run(
        ["readelf", "-W", option, str(library)], capture_output=True, text=True, check=True
    ).stdout


def test_thread_local_state_is_sixteen_bytes(library: Path) -> None:
    segment = re.search(r"^\s*TLS\s+(.*)$", _readelf("--program-headers", library), re.MULTILINE)
    assert segment is not None
    memory_bytes = int(segment[1].split()[4], 16)
    assert memory_bytes <= TLS_BYTES


def test_needs_libc_and_the_loader_only(library: Path) -> None:
    needed = re.findall(r"\(NEEDED\).*\[(.*)\]", _readelf("--dynamic", library))
    assert set(needed) <= NEEDED


def test_asks_for_no_executable_stack(library: Path) -> None:
    stack = re.search(r"GNU_STACK.*", _readelf("--program-headers", library))
    assert stack is not None
    assert "RWE" not in stack[0]


def test_exports_what_it_should_and_nothing_else(library: Path) -> None:
    """`python tests/engine/exported_symbols.py build/engine/libtrimalloc.so` renews the file."""
    assert exported_symbols(library) == GOLDEN_FILE.read_text(encoding="utf-8")
