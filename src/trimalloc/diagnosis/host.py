"""The kernel and the limits that matter to an allocator, each with what it means where it does."""

from __future__ import annotations

import ctypes
import os
import platform
import resource
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from trimalloc.memory_available import group_limit
from trimalloc.sizes import format_size

_FEW_MAPPINGS = 65530  # the kernel's default for vm.max_map_count


@dataclass(frozen=True)
class Fact:
    """One fact: ``note`` is empty where there is nothing to act on."""

    name: str
    value: str
    note: str = ""


def facts() -> list[Fact]:
    """Return what is known of this machine and this process's limits."""
    readers: tuple[Callable[[], Fact], ...] = (
        _kernel,
        _libc,
        _processors,
        _page_size,
        _huge_pages,
        _overcommit,
        _address_space,
        _control_group,
        _map_count,
        _ptrace_scope,
        _rseq,
    )
    return [reader() for reader in readers]


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def _kernel() -> Fact:
    return Fact("kernel", f"{platform.release()} {platform.machine()}")


def _libc() -> Fact:
    return Fact("libc", os.confstr("CS_GNU_LIBC_VERSION") or "not glibc")


def _processors() -> Fact:
    return Fact("processors", str(len(os.sched_getaffinity(0))))


def _page_size() -> Fact:
    return Fact("page size", format_size(resource.getpagesize()))


def _huge_pages() -> Fact:
    modes = _read("/sys/kernel/mm/transparent_hugepage/enabled")
    chosen = modes.partition("[")[2].partition("]")[0] or "not available"
    note = "huge pages everywhere: resident memory is higher" if chosen == "always" else ""
    return Fact("transparent huge pages", chosen, note)


def _overcommit() -> Fact:
    value = _read("/proc/sys/vm/overcommit_memory") or "unknown"
    note = "memory is charged when it is committed, not when it is touched" if value == "2" else ""
    return Fact("vm.overcommit_memory", value, note)


def _address_space() -> Fact:
    soft, _hard = resource.getrlimit(resource.RLIMIT_AS)
    if soft == resource.RLIM_INFINITY:
        return Fact("address space (ulimit -v)", "unlimited")
    return Fact(
        "address space (ulimit -v)", format_size(soft), "the arena is no larger than this allows"
    )


def _control_group() -> Fact:
    limit = group_limit()
    if limit is None:
        return Fact("cgroup memory limit", "none")
    note = (
        f"consider `trimalloc run --limit {int(limit * 0.9) >> 20}M`: relief before the OOM killer"
    )
    return Fact("cgroup memory limit", format_size(limit), note)


def _map_count() -> Fact:
    value = _read("/proc/sys/vm/max_map_count") or "unknown"
    few = value.isdigit() and int(value) < _FEW_MAPPINGS
    return Fact("vm.max_map_count", value, "few mappings: releases may fail" if few else "")


def _ptrace_scope() -> Fact:
    value = _read("/proc/sys/kernel/yama/ptrace_scope") or "0"
    restricted = value != "0" and os.geteuid() != 0
    note = "`trimalloc stats PID` and `doctor PID` read only children, or as root"
    return Fact("kernel.yama.ptrace_scope", value, note if restricted else "")


def _rseq() -> Fact:
    try:
        size = ctypes.c_uint.in_dll(ctypes.CDLL(None), "__rseq_size").value
    except ValueError:
        size = 0
    return Fact("rseq registered by libc", "yes" if size else "no")
