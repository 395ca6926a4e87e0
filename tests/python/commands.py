"""Starting the trimalloc command, and Python programs under it, from tests."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping

TIMEOUT_SECONDS = 60.0


def trimalloc(
    *words: str, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run ``trimalloc WORDS`` on this Python, with ``environment`` added to ours."""
    return subprocess.run(
        [sys.executable, "-m", "trimalloc", *words],
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )


def run_python(code: str, *options: str) -> str:
    """Run ``code`` under ``trimalloc run OPTIONS``; it must succeed. Return what it printed."""
    done = trimalloc("run", *options, "-c", textwrap.dedent(code))
    assert done.returncode == 0, done.stderr
    return done.stdout
