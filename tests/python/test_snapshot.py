"""stats(): complete, consistent, printable."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import FrozenInstanceError

import pytest

import trimalloc
from python.commands import run_python
from trimalloc.snapshot import ClassStats


def test_every_committed_byte_is_in_exactly_one_tier() -> None:
    stats = trimalloc.stats()
    assert stats.committed == (
        stats.in_use
        + stats.cached
        + stats.span_tail
        + stats.page_heap_resident
        + stats.page_heap_released
    )


def test_the_classes_add_up_to_the_tiers_in_a_program_at_work() -> None:
    output = run_python("""
        import trimalloc
        kept = [bytearray(n % 3000 + 1) for n in range(20000)] + [bytearray(1 << 20)]
        stats = trimalloc.stats()
        size = lambda name: sum(getattr(c, name) * c.object_bytes for c in stats.classes)
        for total, name in [(stats.small_in_use, "in_use"), (stats.thread_cached, "thread_cached"),
                            (stats.transfer_cached, "transfer_cached"),
                            (stats.central_free, "central_free")]:
            assert total == size(name), (name, total, size(name))
        assert stats.in_use > 30_000_000, stats.in_use
        assert stats.large_objects >= 1
        assert 0 <= stats.internal_fragmentation_estimate < stats.in_use
        print("consistent")
        """)
    assert output == "consistent\n"


def test_it_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        trimalloc.stats().committed = 0  # type: ignore[misc]


def test_to_dict_is_json_with_the_derived_values() -> None:
    stats = trimalloc.stats()
    values = json.loads(json.dumps(stats.to_dict()))
    assert values["pid"] == os.getpid()
    assert values["in_use"] == stats.in_use
    assert values["resident_estimate"] == stats.resident_estimate
    assert len(values["classes"]) == len(stats.classes) == 88


def test_the_table_names_each_tier() -> None:
    table = run_python("""
        import trimalloc
        kept = bytearray(10_000_000)
        print(trimalloc.stats())
        """)
    for tier in ("small objects in use", "large objects in use", "thread caches", "metadata"):
        assert tier in table
    assert all(len(line) <= 80 for line in table.splitlines())


def test_fragmentation_is_the_mean_loss_of_the_sampled_requests() -> None:
    counts = dict.fromkeys(ClassStats.__dataclass_fields__, 0)
    counts |= {"object_bytes": 64, "in_use": 100, "requested_bytes": 500, "requested_count": 10}
    assert ClassStats(**counts).fragmentation_estimate == 100 * (64 - 50)


def test_fragmentation_of_a_class_without_samples_is_not_guessed() -> None:
    counts = dict.fromkeys(ClassStats.__dataclass_fields__, 0)
    assert ClassStats(**{**counts, "object_bytes": 64, "in_use": 100}).fragmentation_estimate == 0


@pytest.mark.parametrize(
    ("pid", "error", "number"),
    [
        (2**22 + 1, ProcessLookupError, errno.ESRCH),
        (0, ProcessLookupError, errno.ESRCH),
        (-5, ProcessLookupError, errno.ESRCH),
        (2**40, ProcessLookupError, errno.ESRCH),
    ],
)
def test_a_process_that_does_not_exist(pid: int, error: type[OSError], number: int) -> None:
    with pytest.raises(error, match=f"there is no process {pid}") as caught:
        trimalloc.stats(pid)
    assert caught.value.errno == number


def test_a_process_without_trimalloc() -> None:
    with pytest.raises(FileNotFoundError, match="start it with `trimalloc run`"):
        trimalloc.stats(os.getppid())
