"""The benchmarks measure what they say: schedule, statistics, proof, and a row of each suite."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from bench import allocators, estimates, results, schedule, suites, tables  # noqa: E402
from bench.commands.instructions import own_costs  # noqa: E402
from bench.suites.base import Metric, Program, Settings, Suite  # noqa: E402


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def sample(allocator: str, number: int, value: float, program: str = "row") -> results.Sample:
    is_peer = allocator != "ours"
    return results.Sample("test", program, allocator, is_peer, number, 0, "ns", value)


def test_rotation_gives_everyone_every_place() -> None:
    three = [allocators.Allocator(name, name) for name in "abc"]
    orders = [schedule.rotated(three, by) for by in range(6)]
    assert len({tuple(order) for order in orders}) == 6
    for place in range(3):
        assert {order[place].name for order in orders} == {"a", "b", "c"}


def test_ratios_are_taken_within_rounds() -> None:
    # The machine gets slower from round to round; ours takes half the time in each of them.
    base = {0: 10.0, 1: 20.0, 2: 40.0, 3: 80.0, 4: 160.0}
    ratio = estimates.paired_ratio({number: value / 2 for number, value in base.items()}, base)
    assert ratio is not None
    assert (ratio.value, ratio.half_width) == (0.5, 0.0)


def test_one_round_says_nothing_about_the_spread() -> None:
    samples = [sample("glibc", 0, 10), sample("ours", 0, 10)]
    assert not schedule.is_settled(samples, "row", "ns", 0.03)
    samples += [sample(name, number, 10) for name in ("glibc", "ours") for number in range(1, 5)]
    assert schedule.is_settled(samples, "row", "ns", 0.03)


def test_interval_of_five_rounds_is_their_range() -> None:
    found = estimates.estimate([5, 1, 3, 2, 4])
    assert (found.value, found.low, found.high) == (3, 1, 5)
    found = estimates.estimate(list(range(20)))
    assert (found.low, found.high) == (5, 14)


def test_best_peer_is_the_best_of_its_row_and_never_ours() -> None:
    samples = [sample("glibc", 0, 10), sample("mimalloc", 0, 8), sample("ours", 0, 4)]
    samples += [sample(name, 0, value, "other") for name, value in (("glibc", 1), ("mimalloc", 2))]
    rows = tables.Rows(samples, "ns")
    assert (rows.best_peer("row"), rows.best_peer("other")) == ("mimalloc", "glibc")
    ratio = rows.to_best_peer("row", "ours")
    assert ratio is not None
    assert ratio.value == 0.5
    assert rows.allocators[0] == "glibc"
    assert "0.50" in tables.metric_table(samples, Metric("ns", "time", "ns"))


def test_result_file_comes_back_as_it_was_written(tmp_path: Path) -> None:
    samples = [sample("glibc", 0, 12.5), sample("ours", 1, 3.25, "pair 64 B, twice")]
    with results.ResultFile(tmp_path / "x.csv", ["command: a, b"]) as file:
        file.append(samples)
    assert results.read(tmp_path / "x.csv") == (["command: a, b"], samples)


def test_names_become_libraries_and_settings(tmp_path: Path) -> None:
    library = tmp_path / "libother.so"
    library.write_bytes(b"")
    found = allocators.parse(f"mine={library}+A=1+B=2")
    assert (found.name, found.library, found.is_peer) == ("mine", library, True)
    assert found.settings == (("A", "1"), ("B", "2"))
    child = found.environment({"LD_PRELOAD": "x", "MALLOC_ARENA_MAX": "1", "HOME": "/h"})
    assert (child["LD_PRELOAD"], child["A"], child["HOME"]) == (str(library), "1", "/h")
    assert "MALLOC_ARENA_MAX" not in child


@pytest.mark.parametrize("text", ["nonesuch", "x=/nonesuch/lib.so", "glibc+A", "trimalloc-fast"])
def test_unknown_allocators_are_refused(text: str) -> None:
    with pytest.raises(allocators.UnknownAllocatorError):
        allocators.parse(text)


def test_a_preload_that_was_ignored_is_found_out(tmp_path: Path) -> None:
    library = tmp_path / "libnot.so"
    library.write_bytes(b"not a library")  # the loader says so on stderr and goes on without it
    done = bench(
        *("run", "--suite", "micro", "--programs", "pair 64 B", "--rounds", "1"),
        *("--allocators", f"not={library}", "--output", str(tmp_path / "x.csv")),
    )
    assert done.returncode == 1
    assert "is not mapped in the child" in done.stderr


def test_a_program_that_fails_is_named_and_the_others_go_on() -> None:
    def measure(allocator: allocators.Allocator) -> dict[str, float]:
        if allocator.name == "b":
            raise schedule.ChildFailedError("killed")
        return {"ns": 1.0}

    suite = Suite("test", (Program("row", measure),), (Metric("ns", "", ""),), True, 1)
    session = schedule.Session(suite, [allocators.Allocator(name, name) for name in "ab"])
    session.run(suite.programs, schedule.Rounds(2, 2, 0.1), list)
    assert list(session.failed) == [("row", "b")]
    assert [(s.allocator, s.round) for s in session.samples] == [("a", 0), ("a", 1)]


def test_micro_row_runs_and_says_where_malloc_came_from(tmp_path: Path) -> None:
    output = tmp_path / "x.csv"
    done = bench(
        *("run", "--suite", "micro", "--programs", "pair 64 B", "--rounds", "2"),
        *("--allocators", "glibc", "--output", str(output)),
    )
    assert done.returncode == 0, done.stderr
    assert "| pair 64 B |" in done.stdout
    header, samples = results.read(output)
    assert any(line.startswith("cpu: ") for line in header)
    assert {s.metric for s in samples} == {"ns", "ns_best", "hwm_kib", "rss_kib"}


def test_harness_reports_every_figure_and_keeps_survivors_alive(tmp_path: Path) -> None:
    program = tmp_path / "kept.py"
    program.write_text(
        "from bench.python import harness\n"
        "harness.IDLE_SECONDS = 0.01\n"
        "harness.main(lambda report: bytearray(b'x') * (32 << 20))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, str(program)], env=environment, capture_output=True, text=True, check=True
    )
    line = json.loads(done.stdout)
    wanted = {metric.name for metric in suites.load("python", Settings()).metrics}
    assert wanted == set(line["metrics"])
    assert line["metrics"]["idle_kib"] - line["metrics"]["start_kib"] > 32_000
    assert line["proof"]["malloc"]


def test_instructions_of_callees_are_not_counted_twice() -> None:
    text = "fn=(1) loop\n10 5\ncfn=(2) malloc\ncalls=3 0\n11 48\n12 2\n\nfn=(2)\n+3 48\n"
    assert own_costs(text) == {"loop": 7, "malloc": 48}
