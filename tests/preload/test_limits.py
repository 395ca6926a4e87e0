"""Memory that runs out, by the kernel's limits or by our own: NULL and ENOMEM, never an abort."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.preload import Preload
from support.programs import Programs

LIMITS = Path(__file__).parent / "programs" / "limits.c"
MIB = 1 << 20

_EXHAUSTING = [
    "ends_with_null_and_recovers",
    "failed_growth_keeps_the_block",
    "calloc_and_aligned_requests_fail_alike",
]
_OWN_LIMIT = [
    *_EXHAUSTING,
    "residency_stays_under_the_limit",
    "residency_stays_under_the_limit_with_threads",
    "what_is_freed_can_be_used_again",
]


def told(limit: int) -> dict[str, str]:
    """Return the environment that tells the program which limit it runs under."""
    return {"LIMIT_BYTES": str(limit)}


@pytest.mark.parametrize("megabytes", [16, 32, 64, 200, 500])
@pytest.mark.parametrize("case", _EXHAUSTING)
def test_address_space(case: str, megabytes: int, preload: Preload, programs: Programs) -> None:
    """What `ulimit -v` sets."""
    limit = megabytes * MIB
    outcome = preload.run(
        programs.build(LIMITS), case, limits=[f"--as={limit}"], environment=told(limit)
    )
    outcome.assert_clean()


@pytest.mark.parametrize("megabytes", [400, 1024, 8192])
@pytest.mark.parametrize("case", ["threads_with_big_stacks", "mappings_of_the_program"])
def test_address_space_is_left_for_others(
    case: str, megabytes: int, preload: Preload, programs: Programs
) -> None:
    limit = megabytes * MIB
    environment = told(min(limit, 1024 * MIB))
    outcome = preload.run(
        programs.build(LIMITS), case, limits=[f"--as={limit}"], environment=environment
    )
    outcome.assert_clean()


@pytest.mark.parametrize("megabytes", [64, 256])
@pytest.mark.parametrize("case", _EXHAUSTING)
def test_data_segment(case: str, megabytes: int, preload: Preload, programs: Programs) -> None:
    """RLIMIT_DATA counts writable private pages: a reserved range must not be writable."""
    limit = megabytes * MIB
    outcome = preload.run(
        programs.build(LIMITS), case, limits=[f"--data={limit}"], environment=told(limit)
    )
    outcome.assert_clean()


@pytest.mark.parametrize("megabytes", [32, 128])
@pytest.mark.parametrize("case", _OWN_LIMIT)
def test_own_limit(case: str, megabytes: int, preload: Preload, programs: Programs) -> None:
    limited = preload.with_settings(limit=f"{megabytes}M")
    outcome = limited.run(programs.build(LIMITS), case, environment=told(megabytes * MIB))
    outcome.assert_clean()


def test_soft_limit(preload: Preload, programs: Programs) -> None:
    limited = preload.with_settings(limit="64M", soft_limit="32M")
    case = "the_soft_limit_is_an_event"
    limited.run(programs.build(LIMITS), case, environment=told(64 * MIB)).assert_clean()


@pytest.fixture
def small_cgroup() -> Iterator[Path]:
    """A memory cgroup of 128 MB below the one that the tests run in."""
    parent = _own_memory_cgroup()
    group = parent / f"trimalloc-test-{os.getpid()}" if parent else None
    try:
        if group is None:
            raise OSError("no memory controller is mounted")
        group.mkdir()
    except OSError as error:
        pytest.skip(f"cannot make a memory cgroup: {error}")
    limit = next(
        (
            group / name
            for name in ("memory.max", "memory.limit_in_bytes")
            if (group / name).exists()
        ),
        None,
    )
    if limit is None:
        group.rmdir()
        pytest.skip(f"{parent} does not delegate memory limits")
    limit.write_text(str(128 * MIB))
    yield group
    group.rmdir()


def _own_memory_cgroup() -> Path | None:
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        mount = Path("/sys/fs/cgroup")
        if "memory" in controllers.split(","):
            mount /= "memory"
        elif controllers or not (mount / "cgroup.controllers").exists():
            continue
        group = mount / path.lstrip("/")
        if group.is_dir():
            return group
    return None


def test_container(small_cgroup: Path, preload: Preload, programs: Programs) -> None:
    """Twenty bursts of 80 MB in 128 MB: freed memory is used again, or the kernel kills us."""
    program = programs.build(Path(__file__).parent / "programs" / "giving_back.c")
    enter = f'echo $$ > "{small_cgroup}/cgroup.procs" && exec "$0" "$@"'
    outcome = preload.run("sh", "-c", enter, program, "bursts_of_changing_sizes")
    outcome.assert_clean()
