"""The help of every command, as files in help/. `python tests/golden/help_texts.py` writes them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

DIRECTORY = Path(__file__).with_name("help")
COMMANDS = ("", "run", "env", "stats", "size-classes", "doctor", "compare")


def golden_file(command: str) -> Path:
    """Return the file with the help of ``trimalloc COMMAND``."""
    return DIRECTORY / f"{command or 'trimalloc'}.txt"


def help_text(command: str) -> str:
    """Return what ``trimalloc COMMAND --help`` prints on a terminal of 80 columns."""
    done = subprocess.run(
        [sys.executable, "-m", "trimalloc", *([command] if command else []), "--help"],
        env={**os.environ, "COLUMNS": "80", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


if __name__ == "__main__":
    DIRECTORY.mkdir(exist_ok=True)
    for name in COMMANDS:
        golden_file(name).write_text(help_text(name), encoding="utf-8")
