"""trimalloc run: the program is itself, on trimalloc; what cannot work is refused in one line."""

from __future__ import annotations

import os
import signal
import stat
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from python.commands import trimalloc
from trimalloc import library_path

SHOW = "import os, sys; print(sys.argv[1:], os.environ['LD_PRELOAD'])"


def refusal(*words: str, status: int) -> str:
    """Return the one line with which ``trimalloc run WORDS`` refuses."""
    done = trimalloc("run", *words)
    assert done.returncode == status, done
    (line,) = done.stderr.splitlines()
    assert line.startswith("trimalloc run: ")
    assert done.stdout == ""
    return line.removeprefix("trimalloc run: ")


def test_a_script_gets_its_arguments(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SHOW)
    done = trimalloc("run", str(script), "-c", "--limit", "x")
    assert done.stdout == f"['-c', '--limit', 'x'] {library_path()}\n"


def test_a_module_gets_its_arguments(tmp_path: Path) -> None:
    (tmp_path / "a_module.py").write_text(SHOW)
    path = os.pathsep.join([str(tmp_path), *sys.path])
    done = trimalloc("run", "-m", "a_module", "--report", environment={"PYTHONPATH": path})
    assert done.stdout == f"['--report'] {library_path()}\n"


def test_code_gets_its_arguments() -> None:
    assert trimalloc("run", "-c", SHOW, "a").stdout == f"['a'] {library_path()}\n"


def test_a_command_is_found_on_the_path() -> None:
    done = trimalloc("run", "--", "sh", "-c", 'echo "$LD_PRELOAD" "$1"', "sh", "--")
    assert done.stdout == f"{library_path()} --\n"


def test_another_script_language_runs_on_it(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\necho $LD_PRELOAD\n")
    script.chmod(0o755)
    assert trimalloc("run", "--", str(script)).stdout == f"{library_path()}\n"


def test_the_program_is_this_python_in_the_same_process() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "trimalloc", "run", "-c", "import os, sys; print(os.getpid())"],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        output, _ = process.communicate()
    assert int(output) == process.pid


@pytest.mark.parametrize("status", [0, 1, 77])
def test_the_exit_status_is_the_programs(status: int) -> None:
    assert trimalloc("run", "-c", f"raise SystemExit({status})").returncode == status


def test_a_signal_ends_it_as_it_would_the_program() -> None:
    code = "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"
    assert trimalloc("run", "-c", code).returncode == -signal.SIGTERM


def test_options_of_the_interpreter_are_kept() -> None:
    done = subprocess.run(
        [
            *[sys.executable, "-O", "-X", "faulthandler", "-m", "trimalloc", "run"],
            *["-c", "import sys; print(sys.flags.optimize, sys._xoptions)"],
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "1 {'faulthandler': True}\n"


def test_each_option_becomes_its_variable() -> None:
    code = "import os; print({k: v for k, v in os.environ.items() if k.startswith('TRIMALLOC_')})"
    done = trimalloc(
        *["run", "--mode=arena", "--limit", "1G", "--soft-limit=512M", "--report", "--check"],
        *["--huge-pages", "--stats-every", "3600", "-c", code],
    )
    assert done.stdout == (
        "{'TRIMALLOC_MODE': 'arena', 'TRIMALLOC_LIMIT': '1073741824', "
        "'TRIMALLOC_SOFT_LIMIT': '536870912', 'TRIMALLOC_REPORT': '1', 'TRIMALLOC_CHECK': '1', "
        "'TRIMALLOC_HUGE_PAGES': '1', "
        "'TRIMALLOC_STATS_EVERY': '3600'}\n"
    )


def test_an_existing_preload_is_kept_behind_ours() -> None:
    other = "/usr/lib/x86_64-linux-gnu/libSegFault.so"
    done = trimalloc("run", "-c", SHOW, environment={"LD_PRELOAD": other})
    assert done.stdout == f"[] {library_path()}:{other}\n"


OWNERS = "import trimalloc; print(trimalloc.stats().caches_by_processor)"


@pytest.mark.parametrize(
    ("words", "environment", "by_processor"),
    [
        (["--caches", "cpu"], {}, True),
        (["--caches=cpu"], {"TRIMALLOC_CACHES": "thread"}, True),
        ([], {"TRIMALLOC_CACHES": "cpu"}, True),
        (["--caches", "thread"], {"TRIMALLOC_CACHES": "cpu"}, False),
        (["--caches", "auto"], {}, False),
        (["--caches", "cpu", "--check"], {}, False),
        # Without restartable sequences they belong to threads, and nobody complains.
        (["--caches", "cpu"], {"GLIBC_TUNABLES": "glibc.pthread.rseq=0"}, False),
    ],
)
def test_caches_belong_to_whom_they_should(
    words: list[str], environment: dict[str, str], by_processor: bool
) -> None:
    done = trimalloc("run", *words, "-c", OWNERS, environment=environment)
    assert done.stdout == f"{by_processor}\n"
    assert not done.stderr


def test_caches_of_processors_have_a_library_of_their_own() -> None:
    done = trimalloc("run", "--caches", "cpu", "-c", SHOW)
    assert done.stdout == f"[] {library_path('cpu')}\n"
    assert library_path("cpu") != library_path() == library_path("thread")


@pytest.mark.parametrize("library", ["auto", "cpu"])
@pytest.mark.parametrize("caches", ["thread", "cpu"])
def test_either_library_obeys_the_setting(library: str, caches: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", OWNERS],
        env={**os.environ, "LD_PRELOAD": library_path(library), "TRIMALLOC_CACHES": caches},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{caches == 'cpu'}\n"


CHILD = "import os, subprocess, sys; print(sys.argv[1], os.environ.get('LD_PRELOAD', ''))"
PARENT = f"{CHILD}; sys.stdout.flush(); subprocess.run([sys.executable, '-c', {CHILD!r}, 'child'])"


def test_children_follow() -> None:
    done = trimalloc("run", "-c", PARENT, "parent")
    assert done.stdout == f"parent {library_path()}\nchild {library_path()}\n"


def test_children_do_not_follow_when_told_so() -> None:
    done = trimalloc("run", "--no-follow", "-c", PARENT, "parent")
    assert done.stdout == "parent \nchild \n"


def test_a_report_is_printed_at_exit() -> None:
    done = trimalloc("run", "--report", "-c", "print('the program')")
    assert done.stdout == "the program\n"
    assert "trimalloc" in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "what is to be run?"),
        (["--limt", "1G", "x.py"], "there is no option --limt; see `trimalloc run --help`"),
        (["--limit"], "--limit needs a value: --limit SIZE"),
        (["--limit", "much", "-c", ""], "--limit: 'much' is not a size"),
        (["--mode=fast", "-c", ""], "--mode: 'fast' is not a mode: write full, arena, malloc"),
        (
            ["--caches=mine", "-c", ""],
            "--caches: 'mine' does not say whom caches belong to: write auto, thread, cpu",
        ),
        (["--stats-every", "0", "-c", ""], "--stats-every: '0' is not a time"),
        (["--report=yes", "-c", ""], "--report takes no value"),
        (["-c"], "-c needs code"),
        (["-m"], "-m needs a module"),
        (["--"], "there is no command after `--`"),
    ],
)
def test_mistakes_in_the_command_line(words: list[str], message: str) -> None:
    assert refusal(*words, status=2).startswith(message)


def test_a_missing_script_is_named() -> None:
    assert refusal("absent.py", status=127).startswith("there is no script 'absent.py'")


def test_a_missing_command_is_named() -> None:
    assert refusal("--", "no-such-command", status=127) == "no-such-command: command not found"


def elf_program(path: Path, *, machine: int = 62, interpreter: bytes = b"/lib64/ld-linux.so.2"):
    """Write the headers of a program: enough for the loader's questions, and ours."""
    segment = struct.pack("<IIQQQQQQ", 3, 4, 120, 0, 0, len(interpreter), len(interpreter), 1)
    header = struct.pack(
        *["<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 3, machine, 1, 0, 64, 0, 0, 64, 56],
        *[1 if interpreter else 0, 64, 0, 0],
    )
    path.write_bytes(header + segment + interpreter)
    path.chmod(0o755)
    return str(path)


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="builds x86-64 headers")
def test_programs_that_cannot_be_preloaded(tmp_path: Path) -> None:
    static = elf_program(tmp_path / "static", interpreter=b"")
    musl = elf_program(tmp_path / "musl", interpreter=b"/lib/ld-musl-x86_64.so.1\0")
    foreign = elf_program(tmp_path / "foreign", machine=183)
    assert "is statically linked" in refusal("--", static, status=126)
    assert "is linked with musl" in refusal("--", musl, status=126)
    assert "is built for another processor (aarch64)" in refusal("--", foreign, status=126)


def test_a_script_is_judged_by_its_interpreter(tmp_path: Path) -> None:
    static = elf_program(tmp_path / "static", interpreter=b"")
    script = tmp_path / "script"
    script.write_text(f"#!{static}\n")
    script.chmod(0o755)
    assert f"is run by {static}, which is statically linked" in refusal(
        "--", str(script), status=126
    )


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
def test_setuid_programs_are_refused(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(Path("/bin/true").read_bytes())
    os.chown(program, 1, 1)
    program.chmod(0o755 | stat.S_ISUID)
    assert "is setuid or setgid" in refusal("--", str(program), status=126)


def test_pythonmalloc_decides_over_the_mode() -> None:
    code = "import os; print(os.environ['TRIMALLOC_MODE'])"
    done = trimalloc("run", "--mode", "full", "-c", code, environment={"PYTHONMALLOC": "pymalloc"})
    assert done.stdout == "malloc\n"


def test_next_to_nothing_is_imported_before_the_program_starts() -> None:
    code = (
        "import os, sys; from trimalloc.cli.main import main; before = set(sys.modules);"
        "os.execve = lambda *_:"
        " print(sorted(set(sys.modules) - before), 'argparse' in sys.modules);"
        "main(['run', '--limit', '1G', '-c', 'pass'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    ours = "'trimalloc.cli.engine_options', 'trimalloc.cli.run', 'trimalloc.launch', "
    assert done.stdout == f"[{ours}'trimalloc.location', 'trimalloc.sizes'] False\n"
