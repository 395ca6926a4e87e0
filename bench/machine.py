"""What a result depends on besides the allocators: machine, versions, command, source."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from pathlib import Path

from bench.allocators import ROOT, Allocator, shown


def describe_run(allocators: Iterable[Allocator], pythons: Sequence[Path]) -> list[str]:
    """The lines that stand on top of a result file."""
    return [
        f"command: python -m bench {shlex.join(sys.argv[1:])}",
        f"date: {datetime.now(timezone.utc):%Y-%m-%d %H:%M:%S} UTC",
        f"source: {_source()}",
        f"cpu: {_cpu()}",
        f"memory: {os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') >> 20} MiB",
        f"system: {_distribution()}, Linux {platform.release()}, {platform.machine()}",
        f"huge pages: {_setting('/sys/kernel/mm/transparent_hugepage/enabled')}",
        f"overcommit: {_setting('/proc/sys/vm/overcommit_memory')}",
        f"load before: {_setting('/proc/loadavg')}",
        f"libc: {os.confstr('CS_GNU_LIBC_VERSION')}",
        *(f"python: {shown(path)} {version_of(path)}" for path in pythons),
        *(f"allocator {allocator.name}: {allocator.describe()}" for allocator in allocators),
    ]


def version_of(python: Path) -> str:
    """The version that an interpreter reports, such as 3.11.7."""
    code = "import platform; print(platform.python_version())"
    return _output([str(python), "-I", "-c", code])


def _source() -> str:
    commit = _output(["git", "-C", str(ROOT), "rev-parse", "--short=12", "HEAD"]) or "no commit"
    changed = _output(["git", "-C", str(ROOT), "status", "--porcelain", "--untracked-files=no"])
    return f"{commit}, with uncommitted changes" if changed else commit


def _cpu() -> str:
    model = "unknown"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith(("model name", "CPU part")):
            model = line.partition(":")[2].strip()
            break
    return f"{model}, {len(os.sched_getaffinity(0))} of {os.cpu_count()} cores usable"


def _distribution() -> str:
    return platform.freedesktop_os_release().get("PRETTY_NAME", "unknown distribution")


def _setting(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return "unknown"


def _output(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip()
