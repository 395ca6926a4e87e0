"""How much memory this process may use: by its control groups, version 1 or 2, or its machine."""

from __future__ import annotations

from pathlib import Path

# Version 1 says "no limit" with the largest multiple of a page.
_NO_LIMIT = 1 << 60


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def group_limit(root: Path = Path("/")) -> int | None:
    """Return the smallest limit on the way from our group to the root: each of them binds.

    ``root`` is where ``proc`` and ``sys`` are found.
    """
    limits = []
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            mount, name = root / "sys/fs/cgroup", "memory.max"
        elif "memory" in controllers.split(","):
            mount, name = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes"
        else:
            continue
        group = mount / path.lstrip("/")
        for directory in (group, *group.parents):
            text = _read(directory / name)
            if text.isdigit() and int(text) < _NO_LIMIT:
                limits.append(int(text))
            if directory == mount:
                break
    return min(limits, default=None)


def available_bytes(root: Path = Path("/")) -> int:
    """Return the control groups' limit, or the machine's memory if that is less or there is none.

    0 where neither is known.
    """
    machine = 0
    for line in _read(root / "proc/meminfo").splitlines():
        if line.startswith("MemTotal:"):
            machine = int(line.split()[1]) * 1024
    group = group_limit(root)
    if group is None or machine == 0:
        return group or machine
    return min(group, machine)
