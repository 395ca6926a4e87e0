"""Finding the command."""

from __future__ import annotations

import trimalloc as package
from python.commands import trimalloc


def test_without_a_command_the_help_is_shown() -> None:
    assert trimalloc().stdout == trimalloc("--help").stdout


def test_the_version_is_printed() -> None:
    assert trimalloc("--version").stdout == f"trimalloc {package.__version__}\n"


def test_a_typo_names_the_nearest_command() -> None:
    done = trimalloc("docter")
    assert done.returncode == 2
    assert done.stderr == "trimalloc: there is no command 'docter'; did you mean 'doctor'?\n"


def test_a_reader_that_goes_away_is_no_error() -> None:
    import subprocess
    import sys

    done = subprocess.run(
        ["/bin/sh", "-c", '"$0" -m trimalloc size-classes | head -1', sys.executable],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("class")
    assert done.stderr == ""
