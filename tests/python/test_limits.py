"""set_memory_limit()."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import trimalloc
from python.commands import run_python


@pytest.fixture(autouse=True)
def no_limit_left() -> Iterator[None]:
    yield
    trimalloc.set_memory_limit(None)


def test_takes_bytes_and_text() -> None:
    trimalloc.set_memory_limit("512M", 256 << 20)
    stats = trimalloc.stats()
    assert (stats.limit, stats.soft_limit) == (512 << 20, 256 << 20)


def test_the_soft_limit_is_seven_eighths_when_not_given() -> None:
    trimalloc.set_memory_limit(800 << 20)
    assert trimalloc.stats().soft_limit == pytest.approx(700 << 20, abs=8192)


def test_none_takes_the_limit_away() -> None:
    trimalloc.set_memory_limit("1G")
    trimalloc.set_memory_limit(None)
    assert trimalloc.stats().limit == 0


@pytest.mark.parametrize(
    ("hard", "soft", "message"),
    [
        ("100M", "200M", r"the soft limit \(200.0 MiB\) is above the hard limit \(100.0 MiB\)"),
        (-1, None, "cannot be negative"),
        ("many", None, "'many' is not a size"),
    ],
)
def test_what_makes_no_sense_is_refused(
    hard: int | str, soft: int | str | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        trimalloc.set_memory_limit(hard, soft)


def test_beyond_the_limit_is_a_memory_error_and_the_program_goes_on() -> None:
    output = run_python("""
        import trimalloc
        trimalloc.set_memory_limit("64M")
        try:
            bytearray(b"x") * (200 << 20)
        except MemoryError:
            print("refused")
        print(len(bytearray(1 << 20)), trimalloc.stats().limit_failures > 0)
        """)
    assert output.splitlines() == ["refused", "1048576 True"]
