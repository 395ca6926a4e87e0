"""Limits of control groups, from files as the kernel writes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from trimalloc.memory_available import available_bytes, group_limit

MEMINFO = "MemTotal:       16384 kB\nMemFree:  1 kB\n"
MIB = 1 << 20


def machine(root: Path, files: dict[str, str]) -> Path:
    for name, text in {"proc/meminfo": MEMINFO, **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_version_2_takes_the_smallest_on_the_way_up(tmp_path: Path) -> None:
    root = machine(
        tmp_path,
        {
            "proc/self/cgroup": "0::/a/b\n",
            "sys/fs/cgroup/a/b/memory.max": "max\n",
            "sys/fs/cgroup/a/memory.max": f"{4 * MIB}\n",
            "sys/fs/cgroup/memory.max": f"{8 * MIB}\n",
        },
    )
    assert group_limit(root) == 4 * MIB
    assert available_bytes(root) == 4 * MIB


def test_version_1_has_its_own_tree_and_its_own_none(tmp_path: Path) -> None:
    root = machine(
        tmp_path,
        {
            "proc/self/cgroup": "5:cpu,cpuacct:/x\n3:memory:/box\n",
            "sys/fs/cgroup/memory/box/memory.limit_in_bytes": f"{3 * MIB}\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        },
    )
    assert available_bytes(root) == 3 * MIB


def test_a_container_sees_its_group_at_the_root(tmp_path: Path) -> None:
    root = machine(
        tmp_path,
        {
            "proc/self/cgroup": "3:memory:/docker/123\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{2 * MIB}\n",
        },
    )
    assert available_bytes(root) == 2 * MIB


@pytest.mark.parametrize("limit", ["max", str(64 * MIB)])
def test_without_a_smaller_group_the_machine_counts(tmp_path: Path, limit: str) -> None:
    files = {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": limit}
    assert available_bytes(machine(tmp_path, files)) == 16 * MIB


def test_what_nothing_tells_is_zero(tmp_path: Path) -> None:
    assert available_bytes(tmp_path) == 0
