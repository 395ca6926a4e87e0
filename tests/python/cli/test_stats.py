"""trimalloc stats: another process, from outside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

from python.commands import trimalloc


def test_the_table_of_another_process(running: subprocess.Popen[str]) -> None:
    done = trimalloc("stats", str(running.pid))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"trimalloc in process {running.pid}: ")
    assert "large objects in use" in done.stdout


def test_json_holds_what_the_process_holds(running: subprocess.Popen[str]) -> None:
    values = json.loads(trimalloc("stats", str(running.pid), "--json").stdout)
    assert values["pid"] == running.pid
    assert values["large_in_use"] >= 50_000_000


def test_the_process_is_not_stopped(running: subprocess.Popen[str]) -> None:
    trimalloc("stats", str(running.pid))
    assert running.stdin is not None
    running.stdin.write("\n")
    running.stdin.flush()
    assert running.wait(timeout=10) == 0


def test_watching_ends_with_the_process(running: subprocess.Popen[str]) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "trimalloc", "stats", str(running.pid), "--json", "--watch", "0.1"],
        stdout=subprocess.PIPE,
        text=True,
    ) as watcher:
        time.sleep(1)
        assert running.stdin is not None
        running.stdin.close()
        running.wait()
        output, _ = watcher.communicate(timeout=10)
    assert watcher.returncode == 0
    readings = [json.loads(line) for line in output.splitlines()]
    assert len(readings) >= 2
    assert {reading["pid"] for reading in readings} == {running.pid}


def test_without_a_pid_all_processes_are_listed(running: subprocess.Popen[str]) -> None:
    lines = trimalloc("stats").stdout.splitlines()
    assert any(line.split()[0] == str(running.pid) for line in lines[1:])
    listed = json.loads(trimalloc("stats", "--json").stdout)
    assert running.pid in {entry["pid"] for entry in listed}


def test_a_process_that_cannot_be_shown_is_one_line_and_status_1() -> None:
    for pid, message in [
        (2**22 + 1, "there is no process"),
        (os.getpid(), "runs without trimalloc: start it with `trimalloc run`"),
    ]:
        done = trimalloc("stats", str(pid))
        assert done.returncode == 1
        assert done.stdout == ""
        (line,) = done.stderr.splitlines()
        assert line.startswith("trimalloc stats: ")
        assert message in line
