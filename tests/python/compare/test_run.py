"""Real runs of small commands, under libc's malloc and a real preload."""

from __future__ import annotations

import os
import sys
import textwrap
import time
from pathlib import Path

import pytest

from trimalloc.comparison import allocators, process_tree
from trimalloc.comparison.allocators import Allocator
from trimalloc.comparison.run import RunResult, Task, run

GLIBC = Allocator("glibc")
SLEEP = "import time; time.sleep(0.15)"


def run_python(
    code: str,
    allocator: Allocator = GLIBC,
    idle: float = 0.0,
    environment: dict[str, str] | None = None,
) -> RunResult:
    """Runs `code` on this Python, held at its end when `idle` is not 0."""
    base = {**os.environ, **(environment or {})}
    command = (sys.executable, "-c", textwrap.dedent(code))
    return run(Task(command, idle, hold=True, environment=base), allocator, round_=0)


@pytest.fixture(scope="session")
def jemalloc() -> Allocator:
    peer = next(one for one in allocators.PEERS if one.name == "jemalloc")
    library = allocators.find_library(peer.files, allocators.library_directories(os.environ))
    if library is None:
        pytest.skip(f"no jemalloc: {peer.install}")
    return Allocator("jemalloc", library)


def test_a_run_has_time_memory_and_a_proof() -> None:
    result = run_python(f"block = b'x' * (64 << 20); {SLEEP}")
    assert result.error is None
    assert result.proof == "no other allocator mapped"
    assert 0.15 <= result.seconds < 10
    assert result.cpu_seconds > 0
    assert result.peak_bytes > 64 << 20
    assert result.idle_bytes is None
    assert len(result.samples) >= 3


def test_a_preload_is_proved_from_the_maps(jemalloc: Allocator) -> None:
    result = run_python(SLEEP, jemalloc)
    assert result.error is None
    assert result.proof == f"{jemalloc.library} mapped"


def test_a_preload_that_is_not_mapped_is_an_error(tmp_path: Path) -> None:
    broken = tmp_path / "libjemalloc.so.2"
    broken.write_text("not a library")
    result = run_python("import time; time.sleep(30)", Allocator("jemalloc", broken))
    assert result.error == f"{broken} is not in the process's maps: the preload had no effect"
    assert result.seconds < 10


def test_another_allocator_in_the_maps_is_an_error(jemalloc: Allocator) -> None:
    other = Allocator("glibc", variables={"LD_PRELOAD": str(jemalloc.library)})
    result = run_python("import time; time.sleep(30)", other)
    assert result.error == f"{jemalloc.library} is in the process's maps"


def test_a_program_replaced_by_another_is_proved_again() -> None:
    code = f"import os; {SLEEP}; os.execv('/bin/sleep', ['sleep', '0.2'])"
    result = run_python(code, Allocator("x", variables={"SOME_SETTING": "1"}))
    assert result.error is None
    assert result.proof == "SOME_SETTING=1, no other allocator mapped"


def test_failing_command_shows_status_and_last_line() -> None:
    result = run_python(f"import sys; {SLEEP}; print('first', file=sys.stderr); sys.exit('last')")
    assert result.error == "exit status 1: last"


def test_ending_by_a_signal_is_named() -> None:
    result = run_python(f"import os; {SLEEP}; os.kill(os.getpid(), 11)")
    assert result.error == "ended by SIGSEGV"


def test_children_count_unless_they_are_left_out() -> None:
    code = """
        import json, os, subprocess, sys, time
        child = subprocess.Popen([sys.executable, "-c",
            "x = b'x' * (96 << 20); import time; end = time.process_time() + 0.3\\n"
            "while time.process_time() < end: pass\\ntime.sleep(0.2)"])
        if {left_out}:
            with open(os.environ["TRIMALLOC_COMPARE_REPORT"], "a") as report:
                report.write(json.dumps({{"not_counted": child.pid}}) + "\\n")
        child.wait()
        """
    counted = run_python(code.format(left_out=False))
    left_out = run_python(code.format(left_out=True))
    assert counted.error is None
    assert left_out.error is None
    assert counted.peak_bytes > 96 << 20 > left_out.peak_bytes
    assert counted.cpu_seconds - left_out.cpu_seconds > 0.2


class TestHold:
    def test_memory_after_the_end_is_seen_and_not_counted_as_time(self) -> None:
        result = run_python(f"block = b'x' * (64 << 20); {SLEEP}; del block", idle=0.4)
        assert result.error is None
        assert result.idle_bytes is not None
        assert result.idle_bytes < 48 << 20 < result.peak_bytes
        assert result.seconds >= 0.15
        assert [name for _, name in result.phases] == ["quiet", "exit"]
        quiet, end = (moment for moment, _ in result.phases)
        assert end - quiet >= 0.4

    def test_program_sees_nothing_of_it(self) -> None:
        code = f"""
            import os, subprocess, sys, time
            assert "PYTHONPATH" not in os.environ, os.environ["PYTHONPATH"]
            assert "TRIMALLOC_COMPARE_HOLD" not in os.environ
            assert not any("comparison" in entry for entry in sys.path), sys.path
            subprocess.run([sys.executable, "-c", "pass"], check=True)
            {SLEEP}
            """
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        task = Task((sys.executable, "-c", textwrap.dedent(code)), 0.2, True, environment)
        result = run(task, GLIBC, round_=0)
        assert result.error is None
        assert [name for _, name in result.phases] == ["quiet", "exit"]

    def test_the_programs_own_sitecustomize_still_runs(self, tmp_path: Path) -> None:
        (tmp_path / "sitecustomize.py").write_text("import builtins; builtins.from_site = 7\n")
        code = f"import os; assert from_site == 7; assert os.environ['PYTHONPATH']; {SLEEP}"
        result = run_python(code, idle=0.2, environment={"PYTHONPATH": str(tmp_path)})
        assert result.error is None

    def test_a_program_with_a_quiet_of_its_own_is_left_alone(self) -> None:
        code = """
            import os, time
            with open(os.environ["TRIMALLOC_COMPARE_REPORT"], "a") as report:
                report.write('{"phase": "quiet"}\\n')
            time.sleep(float(os.environ["TRIMALLOC_COMPARE_IDLE"]))
            """
        result = run_python(code, idle=0.3)
        assert result.error is None
        assert [name for _, name in result.phases] == ["quiet"]
        assert result.idle_bytes is not None

    def test_a_fork_that_ends_is_not_held(self) -> None:
        code = f"""
            import os, sys, time
            {SLEEP}
            begun = time.monotonic()
            if (child := os.fork()) == 0:
                sys.exit()
            os.waitpid(child, 0)
            assert time.monotonic() - begun < 0.4
            """
        result = run_python(code, idle=0.5)
        assert result.error is None
        assert [name for _, name in result.phases] == ["quiet", "exit"]


def test_a_program_that_goes_on_after_its_quiet_is_ended() -> None:
    code = """
        import os, time
        with open(os.environ["TRIMALLOC_COMPARE_REPORT"], "a") as report:
            report.write('{"phase": "quiet"}\\n')
        time.sleep(60)
        """
    begun = time.monotonic()
    result = run_python(code, idle=0.2)
    assert time.monotonic() - begun < 20
    assert result.error is None
    assert result.seconds < 2
    assert result.idle_bytes is not None


def test_nothing_outlives_a_run() -> None:
    code = f"""
        import subprocess
        child = subprocess.Popen(["sleep", "61.5"])
        import os
        with open(os.environ["TRIMALLOC_COMPARE_REPORT"], "a") as report:
            report.write('{{"metrics": {{"child": %d}}}}\\n' % child.pid)
        {SLEEP}
        """
    result = run_python(code)
    assert result.error is None
    assert process_tree.memory_of(int(result.metrics["child"])) is None


def test_a_command_that_cannot_start_is_an_error(tmp_path: Path) -> None:
    result = run(Task((str(tmp_path / "none"),), 0.0), GLIBC, round_=0)
    assert result.error == "cannot be started: No such file or directory"
