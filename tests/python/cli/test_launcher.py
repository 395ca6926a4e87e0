"""The `trimalloc` command: its shortcut does what `python -m trimalloc` does, only sooner."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from python.commands import TIMEOUT_SECONDS
from trimalloc import library_path

COMMAND = Path(sysconfig.get_path("scripts")) / "trimalloc"
PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"

# What a program sees of how it was started, but for the name by which its Python was called.
SHOW = (
    "import os, sys; "
    "print(sys.argv, sys.prefix, sys.path[:1], sys.orig_argv[1:], sys.flags.no_site); "
    "print({k: v for k, v in os.environ.items() if k.startswith(('LD_', 'TRI', 'PYTHON'))})"
)


def start(
    *command: str | Path, cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command in an environment that says nothing about allocators but ``environment``."""
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("LD_", "TRI", "PYTHON"))}
    return subprocess.run(
        [str(word) for word in command],
        env={**plain, **environment},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )


@pytest.fixture
def script(tmp_path: Path) -> str:
    path = tmp_path / "script.py"
    path.write_text(SHOW)
    return str(path)


def test_it_is_no_python() -> None:
    assert COMMAND.read_bytes()[:4] == b"\x7fELF"
    assert os.access(COMMAND, os.X_OK)


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"LD_PRELOAD": "libdl.so.2"},
        {"LD_PRELOAD": library_path()},
        {"LD_PRELOAD": ""},
        {"PYTHONMALLOC": "debug"},
        {"PYTHONMALLOC": ""},
        {"TRIMALLOC_MODE": "arena", "TRIMALLOC_LIMIT": "1G"},
        {"PYTHONSAFEPATH": "1"},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "words",
    [
        ["-c", SHOW, "a", "--report", ""],
        ["SCRIPT", "-c", "x"],
        ["-m", "timeit", "-n1", "-r1"],
        ["--mode", "arena", "-c", SHOW],
        ["--no-follow", "SCRIPT"],
        ["--", "/bin/sh", "-c", "echo $LD_PRELOAD"],
        [],
        ["-c"],
        ["-m"],
        ["-x", "SCRIPT"],
        ["missing.py"],
        ["-c", "import sys; sys.exit(7)"],
        ["-c", "import os; os.kill(os.getpid(), 15)"],
        ["--help"],
    ],
    ids=" ".join,
)
def test_it_does_what_the_package_does(
    words: list[str], environment: dict[str, str], script: str
) -> None:
    words = ["run", *[script if word == "SCRIPT" else word for word in words]]
    shortcut = start(COMMAND, *words, **environment)
    package = start(Path(sys.executable).parent / PYTHON, "-m", "trimalloc", *words, **environment)
    assert shortcut.returncode == package.returncode
    assert shortcut.stderr == package.stderr
    if "timeit" not in words:
        assert shortcut.stdout == package.stdout


@pytest.mark.parametrize("words", [["--version"], ["--help"], [], ["size-classes"], ["nonsense"]])
def test_other_commands_are_the_packages(words: list[str]) -> None:
    shortcut = start(COMMAND, *words)
    package = start(sys.executable, "-m", "trimalloc", *words)
    assert (shortcut.returncode, shortcut.stdout) == (package.returncode, package.stdout)
    assert shortcut.stderr == package.stderr


def test_what_lies_in_the_working_directory_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('the wrong json')")
    (tmp_path / "trimalloc").mkdir()
    (tmp_path / "trimalloc" / "__init__.py").write_text("raise SystemExit('the wrong trimalloc')")
    assert start(COMMAND, "size-classes", "--json", cwd=tmp_path).returncode == 0


def test_a_link_to_it_finds_its_installation(tmp_path: Path) -> None:
    link = tmp_path / "tm"
    link.symlink_to(COMMAND)
    done = start(link, "run", "-c", "import sys, os; print(sys.prefix, os.environ['LD_PRELOAD'])")
    assert done.stdout == f"{sys.prefix} {library_path()}\n", done.stderr


def test_where_there_is_no_library_beside_it_the_package_decides(tmp_path: Path) -> None:
    # As in an editable installation: the Python is there, the library somewhere else.
    directory = tmp_path / "bin"
    directory.mkdir()
    shutil.copy(COMMAND, directory)
    wrapper = directory / PYTHON
    wrapper.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    wrapper.chmod(0o755)
    done = start(directory / "trimalloc", "run", "-c", "import os; print(os.environ['LD_PRELOAD'])")
    assert done.stdout == f"{library_path()}\n", done.stderr


def test_a_python_elsewhere_is_found_on_the_path(tmp_path: Path) -> None:
    # As after `pip install --user`.
    shutil.copy(COMMAND, tmp_path)
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    done = start(tmp_path / "trimalloc", "--version", PATH=path)
    assert done.stdout.startswith("trimalloc "), done.stderr


def test_without_a_python_it_says_so_in_one_line(tmp_path: Path) -> None:
    shutil.copy(COMMAND, tmp_path)
    done = start(tmp_path / "trimalloc", "--version", PATH=str(tmp_path))
    assert done.returncode == 125
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"trimalloc: {PYTHON}: No such file or directory; install trimalloc")
