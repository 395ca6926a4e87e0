"""trimalloc env: lines that shells, Dockerfiles and systemd understand."""

from __future__ import annotations

import subprocess

from python.commands import trimalloc
from trimalloc import library_path


def test_a_shell_that_evaluates_it_runs_programs_on_trimalloc() -> None:
    lines = trimalloc("env", "--mode", "arena", "--limit", "1G").stdout
    done = subprocess.run(
        ["/bin/sh", "-c", f"{lines}\necho $LD_PRELOAD $TRIMALLOC_MODE $TRIMALLOC_LIMIT"],
        env={"PATH": "/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{library_path()} arena 1073741824\n"


def test_a_shell_keeps_what_it_preloads() -> None:
    other = library_path()  # any library that exists
    done = subprocess.run(
        ["/bin/sh", "-c", f"{trimalloc('env').stdout}\necho $LD_PRELOAD"],
        env={"LD_PRELOAD": other},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{library_path()}:{other}\n"


def test_docker_lines() -> None:
    lines = trimalloc("env", "--format", "docker", "--report").stdout.splitlines()
    assert lines == [f'ENV LD_PRELOAD="{library_path()}"', 'ENV TRIMALLOC_REPORT="1"']


def test_systemd_lines() -> None:
    lines = trimalloc("env", "--format", "systemd", "--no-follow").stdout.splitlines()
    assert lines == [
        f'Environment="LD_PRELOAD={library_path()}"',
        'Environment="TRIMALLOC_FOLLOW=0"',
    ]


def test_a_bad_size_is_refused() -> None:
    done = trimalloc("env", "--limit", "much")
    assert done.returncode == 2
    assert "argument --limit: 'much' is not a size" in done.stderr
