"""What the command line means, and ``trimalloc compare`` as its users run it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from python.commands import trimalloc
from trimalloc.comparison import command

TINY = "x = [bytes(2000) for _ in range(20000)]; del x; import time; time.sleep(0.1)"


def test_python_means_this_one() -> None:
    assert command.resolve(["python", "-c", "pass"]) == [sys.executable, "-c", "pass"]


def test_a_script_runs_on_this_python(tmp_path: Path) -> None:
    script = tmp_path / "app.py"
    script.touch()
    assert command.resolve([str(script), "1"]) == [sys.executable, str(script), "1"]


def test_another_program_stays_as_it_is() -> None:
    assert command.resolve(["sleep", "1"]) == ["sleep", "1"]


@pytest.mark.parametrize("words", [[], ["no-such-program-anywhere"]])
def test_what_cannot_be_run_is_refused(words: list[str]) -> None:
    with pytest.raises(ValueError, match=r"what is to be run|not found"):
        command.resolve(words)


def test_the_interpreter_is_asked_who_it_is() -> None:
    interpreter = command.interpreter_of([sys.executable])
    assert interpreter is not None
    assert interpreter.version == ".".join(map(str, sys.version_info[:3]))


def test_a_script_names_its_interpreter_in_its_first_line(tmp_path: Path) -> None:
    script = tmp_path / "tool"
    script.write_text(f"#!{sys.executable} -u\nprint()\n")
    script.chmod(0o755)
    interpreter = command.interpreter_of([str(script)])
    assert interpreter is not None
    assert interpreter.path == sys.executable


def test_a_program_that_is_no_python_has_no_interpreter() -> None:
    assert command.interpreter_of(["sleep", "1"]) is None


def test_compares_and_writes_every_report(tmp_path: Path) -> None:
    files = {kind: tmp_path / f"report.{kind}" for kind in ("json", "html")}
    done = trimalloc(
        *("compare", "--with", "jemalloc", "--runs", "2", "--idle", "0.3"),
        *("--json", str(files["json"]), "--html", str(files["html"])),
        *("--", "python", "-c", TINY),
    )
    assert done.returncode == 0, done.stderr
    for name in ("trimalloc-full", "trimalloc-arena", "glibc"):
        assert name in done.stdout
    document = json.loads(files["json"].read_text())
    assert all(run["error"] is None and run["idle_bytes"] for run in document["runs"])
    assert files["html"].read_text().startswith("<!doctype html>")
    # Not a terminal: a line for each run, nothing that moves the cursor.
    assert "[1/" in done.stderr
    assert "\r" not in done.stderr


def test_failing_command_fails_with_its_last_line() -> None:
    code = "import sys, time; time.sleep(0.1); sys.exit('out of luck')"
    done = trimalloc(*("compare", "--with", "glibc", "--runs", "2", "--", "python", "-c", code))
    assert done.returncode == 1
    assert done.stdout.count("failed: exit status 1: out of luck") == 3
    assert done.stderr.count("glibc: failed") == 1  # not again in the second round


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--with", "nomalloc", "--", "python", "-V"), "unknown allocator 'nomalloc'"),
        (("--html", "/no/such/folder/x.html", "--", "python", "-V"), "no such folder"),
        ((), "what is to be run?"),
        (("--", "no-such-program-anywhere"), "command not found"),
    ],
)
def test_mistakes_are_told_before_anything_runs(words: tuple[str, ...], complaint: str) -> None:
    done = trimalloc("compare", *words)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_leaves_nothing_running_and_prints_what_there_is(
    sign: signal.Signals, tmp_path: Path
) -> None:
    first = tmp_path / "first-run-is-over"
    pids = tmp_path / "pids"
    code = f"""
import os, subprocess, time
from pathlib import Path
time.sleep(0.1)
if Path({str(first)!r}).exists():
    child = subprocess.Popen(["sleep", "62.5"])
    Path({str(pids)!r}).write_text(f"{{os.getpid()}} {{child.pid}}")
    time.sleep(60)
Path({str(first)!r}).touch()
"""
    words = ("compare", "--with", "trimalloc-full", "--idle", "0", "--", "python", "-c", code)
    with subprocess.Popen(
        [sys.executable, "-m", "trimalloc", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        deadline = time.monotonic() + 30
        while not (pids.exists() and pids.read_text()) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(sign)
        stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 130, stderr
    assert "trimalloc-full" in stdout
    assert "glibc was not run" in stdout
    assert "Traceback" not in stderr
    for pid in pids.read_text().split():
        assert not _alive(int(pid))


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
