"""size_classes(): the table that the rules in the documentation promise."""

from __future__ import annotations

from itertools import pairwise

import trimalloc


def test_the_classes_leave_no_gap() -> None:
    classes = trimalloc.size_classes()
    assert classes[0].smallest_bytes == 1
    for smaller, larger in pairwise(one for one in classes if not one.python_objects):
        assert larger.smallest_bytes == smaller.object_bytes + 1
    assert classes[-1].object_bytes == 256 * 1024


def test_there_are_87_beside_the_large_one() -> None:
    assert [one.index for one in trimalloc.size_classes()] == list(range(1, 88))


def test_one_class_is_for_python_objects_alone() -> None:
    other, theirs = (one for one in trimalloc.size_classes() if one.object_bytes == 64)
    assert theirs.python_objects
    assert not other.python_objects
    assert (theirs.smallest_bytes, other.smallest_bytes) == (49, 49)
    assert theirs.span_objects == other.span_objects - 1


def test_powers_of_two_are_exact() -> None:
    sizes = {one.object_bytes for one in trimalloc.size_classes()}
    assert {1 << shift for shift in range(4, 19)} <= sizes


def test_rounding_up_costs_little_between_128_bytes_and_32_kib() -> None:
    for one in trimalloc.size_classes():
        if 128 < one.object_bytes <= 32 * 1024:
            assert one.rounding_share <= (1 / 8 if one.object_bytes <= 16 * 1024 else 1 / 7)


def test_span_tails_waste_little() -> None:
    for one in trimalloc.size_classes():
        assert 0 <= one.tail_bytes < one.object_bytes + one.python_objects
        assert one.tail_share <= 1 / 28
