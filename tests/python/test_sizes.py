"""Sizes as text."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimalloc.sizes import format_size, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1048576", 1 << 20),
        ("512M", 512 << 20),
        ("512m", 512 << 20),
        ("2 GiB", 2 << 30),
        ("1.5G", 3 << 29),
        ("4KB", 4096),
        ("1T", 1 << 40),
        ("7B", 7),
    ],
)
def test_reads_the_forms_that_people_write(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "M", "-1", "-1M", "12X", "1M2", "nan", "inf", "1e400", "0x10", "9T9", "9999999T"]
)
def test_names_what_is_accepted_when_it_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="write bytes, or a number with K, M, G or T"):
        parse_size(text)


@given(st.integers(min_value=0, max_value=2**23 - 1), st.sampled_from(["", "K", "M", "G", "T"]))
def test_whole_numbers_are_exact_in_every_unit(number: int, unit: str) -> None:
    factor = 1024 ** ["", "K", "M", "G", "T"].index(unit)
    assert parse_size(f"{number}{unit}") == number * factor


@given(st.text(max_size=12))
def test_any_other_text_is_a_value_error(text: str) -> None:
    with suppress(ValueError):
        assert parse_size(text) >= 0


@given(st.integers(min_value=1024, max_value=2**59))
def test_a_formatted_size_reads_back_to_what_it_shows(size: int) -> None:
    # One decimal of a number of at least 1.0: off by at most half a tenth.
    assert abs(parse_size(format_size(size)) - size) <= 0.05 * size


def test_formats_bytes_without_a_fraction() -> None:
    assert format_size(1023) == "1023 B"
    assert format_size(1536) == "1.5 KiB"
