"""The suites of others' programs: lists are read as they say, figures are the child's own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from bench import allocators, bindings, child, results, suites  # noqa: E402
from bench.collected.runtimes import found_runtimes  # noqa: E402
from bench.compile import compile_c  # noqa: E402
from bench.programs.debian import inputs  # noqa: E402
from bench.programs.manifest import Row, read_manifest  # noqa: E402
from bench.pyperformance.benchmarks import BENCHMARKS  # noqa: E402
from bench.pyperformance.worker import seconds_of  # noqa: E402
from bench.servers import redis  # noqa: E402
from bench.suites import collected, programs  # noqa: E402
from bench.suites.base import Settings, UnusableSettingError  # noqa: E402

GLIBC = allocators.parse("glibc")


def rows(folder: Path, text: str) -> list[Row]:
    path = folder / "programs.ini"
    path.write_text(text)
    return read_manifest(path, folder)


def witness(folder: Path, *command: str) -> dict[str, object]:
    program = compile_c("witness", [ROOT / "bench" / "witness" / "witness.c"])
    argv = (str(program), os.devnull, str(folder / "output"), *command)
    return child.run_for_line(child.Command(argv), GLIBC)


def test_a_list_says_how_each_program_is_started(tmp_path: Path) -> None:
    text = "[a]\ncommand = cat '{folder}/one file'\ninput = in.txt\nstatus = 0 3\n"
    (row,) = rows(tmp_path, text)
    assert row.command == ("cat", f"{tmp_path}/one file")
    assert (row.input, row.statuses) == (tmp_path / "in.txt", (0, 3))
    assert row.missing() is None


@pytest.mark.parametrize(
    "text",
    [
        "[a]\ncomand = cat\n",
        "[a]\ninput = x\n",
        "[a]\ncommand = cat\nseconds = [0-9]+\n",
        "[a]\ncommand = cat\nrate = ([0-9]+\n",
        "[a]\ncommand = cat\nstatus = many\n",
        "[a]\ncommand = 'cat\n",
        "command = cat\n",
        "[a]\ncommand = cat\n[a]\ncommand = cat\n",
    ],
)
def test_a_wrong_list_is_refused_with_its_name(tmp_path: Path, text: str) -> None:
    with pytest.raises(UnusableSettingError, match=r"programs\.ini: \S"):
        rows(tmp_path, text)


def test_what_is_missing_is_named_with_where_to_get_it(tmp_path: Path) -> None:
    absent, needy, local = rows(
        tmp_path,
        "[a]\ncommand = nonesuch-program\nget = apt install nonesuch\n"
        "[b]\ncommand = cat\nneeds = large.pdf\n"
        "[c]\ncommand = out/bench/own\n",
    )
    assert absent.missing() == "nonesuch-program is missing: apt install nonesuch"
    assert needy.missing() == f"{tmp_path}/large.pdf is missing"
    assert local.missing() == "out/bench/own is missing"
    own = tmp_path / "out" / "bench" / "own"
    own.parent.mkdir(parents=True)
    own.write_text("#!/bin/sh\n")
    own.chmod(0o755)
    assert local.missing() is None


def test_shipped_lists_are_right_and_their_inputs_can_be_made(tmp_path: Path) -> None:
    debian = programs.rows_of(programs.DEBIAN)
    for row in debian:
        if row.prepare:
            assert row.prepare[-1] in inputs.MAKERS
            assert any(word.endswith(row.prepare[-1]) for word in row.command)
    (tmp_path / "out" / "bench").mkdir(parents=True)
    theirs = programs.rows_of(tmp_path)
    assert {"cfrac", "espresso", "larson N", "mstress N"} <= {row.name for row in theirs}
    assert all(row.get for row in (*debian, *theirs))


def test_inputs_are_the_same_every_time(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        inputs.main(str(tmp_path / folder), "pigeons.cnf")
    first = (tmp_path / "a" / "pigeons.cnf").read_text()
    assert first == (tmp_path / "b" / "pigeons.cnf").read_text()
    assert first.startswith("p cnf ")


def test_a_folder_without_programs_is_refused_with_advice(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench", "run", "--suite", "programs"]
    command += ["--folder", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "mimalloc-bench" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_rows_of_several_folders_name_theirs(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        rows(tmp_path / name, "[a]\ncommand = cat\n")
    suite = suites.load("programs", Settings(folders=[tmp_path / "one", tmp_path / "two"]))
    assert [program.name for program in suite.programs] == ["a (one)", "a (two)"]
    with pytest.raises(UnusableSettingError, match="two folders are named one"):
        suites.load("programs", Settings(folders=[tmp_path / "one", tmp_path / "x" / "one"]))


def test_a_program_of_fixed_duration_is_taken_at_its_word(tmp_path: Path) -> None:
    timed, rated, plain = rows(
        tmp_path,
        "[a]\ncommand = cat\nseconds = time: ([0-9.]+)\n"
        "[b]\ncommand = cat\nrate = ^([0-9]+) iterations\n"
        "[c]\ncommand = cat\n",
    )
    counted = {"cpu_s": 10.0, "wall_s": 5.0, "peak_kib": 9.0, "minor_faults": 1.0, "processes": 1.0}
    assert programs.figures(timed, counted, "relative time: 2.5s.\n")["time_s"] == 2.5
    assert programs.figures(rated, counted, "x\n250000000 iterations\n")["time_s"] == 4.0
    assert "wall_s" not in programs.figures(rated, counted, "500 iterations")
    assert programs.figures(plain, counted, "")["time_s"] == 10.0
    with pytest.raises(child.ChildFailedError):
        programs.figures(timed, counted, "no figure\n")


def test_the_witness_reads_the_childs_own_peak(tmp_path: Path) -> None:
    # This process is far larger than `cat` is, and has been when the witness was forked.
    small = witness(tmp_path, "cat", "/dev/null")
    assert small["status"] == 0
    assert str(small["executable"]).endswith("cat")
    metrics = small["metrics"]
    assert isinstance(metrics, dict)
    assert 0 < metrics["peak_kib"] < 8000
    large = witness(tmp_path, sys.executable, "-c", "bytearray(b'x') * (64 << 20)")["metrics"]
    assert isinstance(large, dict)
    assert large["peak_kib"] > 64_000


def test_the_witness_sees_children_and_ends(tmp_path: Path) -> None:
    work = f"{sys.executable} -c 'sum(range(10**6))'"
    metrics = witness(tmp_path, "sh", "-c", f"{work}; {work}; kill -9 $$")
    assert metrics["status"] == -9
    counted = metrics["metrics"]
    assert isinstance(counted, dict)
    assert counted["processes"] == 3
    assert counted["cpu_s"] > 0
    assert "python" in str(metrics["executable"])


def test_the_loader_tells_where_malloc_comes_from(tmp_path: Path) -> None:
    cat = Path("/bin/cat")
    environment = GLIBC.environment(os.environ)
    assert Path(bindings.malloc_library(cat, environment)).resolve() == bindings.libc()
    assert bindings.over_linked_allocator(GLIBC, cat) is GLIBC
    # A library with a malloc of its own, which the loader has to name.
    source = tmp_path / "own.c"
    source.write_text("#include <stddef.h>\nvoid *malloc(size_t n) { (void)n; return NULL; }\n")
    own = tmp_path / "libown.so"
    subprocess.run(["cc", "-shared", "-fPIC", str(source), "-o", str(own)], check=True)
    preloaded = allocators.parse(f"own={own}").environment(os.environ)
    assert bindings.malloc_library(cat, preloaded) == str(own)


def test_a_row_runs_and_a_missing_one_is_named(tmp_path: Path) -> None:
    (tmp_path / "programs.ini").write_text(
        "[sorting]\ncommand = sort programs.ini\n[absent]\ncommand = nonesuch-program\n"
    )
    output = tmp_path / "x.csv"
    command = [sys.executable, "-m", "bench", "run", "--suite", "programs", "--rounds", "1"]
    command += ["--folder", str(tmp_path), "--allocators", "glibc", "--output", str(output)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "skipped: programs absent: nonesuch-program is missing" in done.stderr
    samples = results.read(output)[1]
    assert {s.program for s in samples} == {"sorting"}
    assert {s.metric for s in samples} == {metric.name for metric in programs.METRICS}


def test_redis_benchmarks_table_is_read() -> None:
    lines = ['"test","rps","avg_latency_ms"', '"SET","125000.50","0.3"', '"GET","1.0","0.1"']
    assert redis.requests_per_second(lines, "set") == 125000.5
    with pytest.raises(child.ChildFailedError):
        redis.requests_per_second(lines, "lpush")


def test_only_values_with_the_last_number_of_loops_count() -> None:
    # The first of them is the one that was long enough: a warm-up for the others.
    assert seconds_of([(1, 9.0), (2, 8.0), (2, 2.0), (2, 4.0), (2, 3.0)]) == 3.0
    assert seconds_of([(4, 1.5)]) == 1.5


def test_benchmarks_have_names_of_their_own() -> None:
    names = [benchmark.name for benchmark in BENCHMARKS]
    assert len(set(names)) == len(names)
    suite = suites.load("servers", Settings())
    assert "memcached" in {program.name for program in suite.programs}


def test_binary_trees_has_the_same_answer_whoever_frees_the_nodes() -> None:
    found = [one for one in found_runtimes() if not isinstance(one, str)]
    assert all(one.describe() for one in found)
    for column in (GLIBC, *found):
        figures = collected.measure(8, column)  # which checks the output
        assert set(figures) == {metric.name for metric in collected.METRICS}
        assert figures["peak_kib"] > 0
    with pytest.raises(child.ChildFailedError, match="binary-trees 3 under glibc: status 2"):
        collected.measure(3, GLIBC)
