"""trimalloc doctor: the verdict, its exit status, and what it names."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from python.commands import trimalloc
from trimalloc import library_path

LIBRARY = os.path.realpath(library_path())
ALLOCATORS = ("malloc", "PyMem_RawMalloc", "PyMem_Malloc", "PyObject_Malloc")


def diagnose(*words: str, status: int = 0) -> dict[str, Any]:
    """Return what ``trimalloc doctor --json WORDS`` prints."""
    done = trimalloc("doctor", "--json", *words)
    assert done.returncode == status, done
    diagnosis: dict[str, Any] = json.loads(done.stdout)
    return diagnosis


@pytest.mark.skipif("t" in sys.abiflags, reason="objects stay with CPython's own allocator")
@pytest.mark.parametrize(
    ("mode", "not_served"),
    [("full", set()), ("arena", set()), ("malloc", {"PyMem_Malloc(64)", "PyObject_Malloc(64)"})],
)
def test_a_python_is_proved_by_the_addresses_it_hands_out(mode: str, not_served: set[str]) -> None:
    diagnosis = diagnose("--mode", mode, "--", sys.executable, "-c", "pass")
    assert diagnosis["verdict"] == "in use"
    assert diagnosis["mode"] == mode
    assert {name.partition("(")[0] for name in diagnosis["served"]} == set(ALLOCATORS)
    assert {name for name, served in diagnosis["served"].items() if not served} == not_served


def test_a_script_is_proved_by_the_python_that_runs_it(tmp_path: Path) -> None:
    script = tmp_path / "service"
    script.write_text(f"#!{sys.executable}\nimport sqlite3\n")
    script.chmod(0o755)
    diagnosis = diagnose("--", str(script))
    assert diagnosis["served"]["malloc(64)"]


def test_without_arguments_this_python_is_asked() -> None:
    done = trimalloc("doctor")
    assert done.returncode == 0, done
    assert "trimalloc is in use" in done.stdout


def test_a_command_is_proved_by_what_the_loader_binds() -> None:
    diagnosis = diagnose("--", "sh", "-c", "exit 3")
    assert "the command ended with status 3" in diagnosis["evidence"]
    assert {os.path.realpath(provider) for provider in diagnosis["bindings"].values()} == {LIBRARY}


def test_a_command_that_does_not_end_is_ended() -> None:
    diagnosis = diagnose("--seconds", "0.5", "--", "sleep", "600")
    assert "the command ran for 0.5 s and was ended" in diagnosis["evidence"]


def test_the_output_of_the_command_stays_out_of_the_report() -> None:
    done = trimalloc("doctor", "--json", "--", "echo", "from the command")
    assert json.loads(done.stdout)["verdict"] == "in use"
    assert "from the command" in done.stderr


def test_a_running_process_is_proved_from_outside(running: subprocess.Popen[str]) -> None:
    diagnosis = diagnose(str(running.pid))
    assert diagnosis["verdict"] == "in use"
    assert {os.path.realpath(provider) for provider in diagnosis["bindings"].values()} == {LIBRARY}
    assert any("the program holds" in sentence for sentence in diagnosis["evidence"])


def test_a_process_without_it_is_status_1() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        try:
            diagnosis = diagnose(str(process.pid), status=1)
        finally:
            process.kill()
    assert diagnosis["verdict"] == "not in use"
    assert diagnosis["evidence"] == ["libtrimalloc.so is not mapped"]


def test_a_library_that_is_mapped_and_serves_nobody_is_not_in_use() -> None:
    # Loaded after the start, its malloc comes behind libc's: a check of the mappings would pass.
    code = f"import ctypes; lib = ctypes.CDLL({LIBRARY!r}); print('ready', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        diagnosis = diagnose(str(process.pid), status=1)
        process.kill()
    assert "libtrimalloc.so is mapped" in diagnosis["evidence"]


def test_facts_about_the_machine_are_listed() -> None:
    names = {fact["name"] for fact in diagnose("--", "true")["host"]}
    assert {
        "kernel",
        "page size",
        "transparent huge pages",
        "vm.overcommit_memory",
        "address space (ulimit -v)",
        "cgroup memory limit",
        "vm.max_map_count",
        "kernel.yama.ptrace_scope",
        "rseq registered by libc",
    } <= names


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["99999999"], "there is no process 99999999"),
        (["1", "--", "true"], "give a PID or a command, not both"),
        (["--"], "there is no command after `--`"),
        (["--", "no-such-command"], "no-such-command: command not found"),
        (["--", "/etc/passwd"], "/etc/passwd is not an ELF file"),
    ],
)
def test_what_cannot_be_told_is_one_line_and_status_2(words: list[str], message: str) -> None:
    done = trimalloc("doctor", *words)
    assert done.returncode == 2
    assert done.stderr == f"trimalloc doctor: {message}\n"
