"""Reading a process and its descendants from /proc.

Every function takes a process that may end at any moment, and answers None (or nothing) then.
"""

from __future__ import annotations

import os
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def _read(pid: int, file: str) -> bytes | None:
    try:
        return Path(f"/proc/{pid}/{file}").read_bytes()
    except OSError:
        return None


def children_of(pid: int) -> list[int]:
    """The direct children, whichever thread started them."""
    try:
        threads = [entry.name for entry in Path(f"/proc/{pid}/task").iterdir()]
    except OSError:
        return []
    found: list[int] = []
    for thread in threads:
        found += map(int, (_read(pid, f"task/{thread}/children") or b"").split())
    return found


def family_of(pid: int, leaving_out: set[int] | frozenset[int] = frozenset()) -> list[int]:
    """The process and all its descendants, without those left out and their descendants."""
    if pid in leaving_out:
        return []
    family = [pid]
    for member in family:  # grows while it is walked
        family += [child for child in children_of(member) if child not in leaving_out]
    return family


def memory_of(pid: int) -> tuple[int, int] | None:
    """Resident memory now and at its highest, in bytes (VmRSS, VmHWM)."""
    fields: dict[bytes, int] = {}
    for line in (_read(pid, "status") or b"").splitlines():
        name, _, rest = line.partition(b":")
        if name in (b"VmRSS", b"VmHWM"):
            fields[name] = int(rest.split()[0]) * 1024
    if len(fields) != 2:
        return None
    return fields[b"VmRSS"], fields[b"VmHWM"]


def cpu_seconds_of(pid: int) -> float | None:
    """User and system time so far, of the process and the children it has waited for."""
    stat = _read(pid, "stat")
    if stat is None:
        return None
    # The name, in brackets, may hold anything; utime is the 14th field of the line.
    after_name = stat.rpartition(b")")[2].split()
    return sum(int(ticks) for ticks in after_name[11:15]) / _TICKS_PER_SECOND


def executable_of(pid: int) -> str | None:
    """The file that the process runs."""
    try:
        return str(Path(f"/proc/{pid}/exe").readlink())
    except OSError:
        return None


def mapped_files_of(pid: int) -> set[str]:
    """The files mapped into the process."""
    return {
        words[5].decode(errors="surrogateescape")
        for line in (_read(pid, "maps") or b"").splitlines()
        if len(words := line.split(None, 5)) == 6 and words[5].startswith(b"/")
    }


def environment_of(pid: int) -> dict[str, str]:
    """The environment that the process was started with."""
    entries = (_read(pid, "environ") or b"").decode(errors="surrogateescape").split("\0")
    return dict(entry.split("=", 1) for entry in entries if "=" in entry)
