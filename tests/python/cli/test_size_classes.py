"""trimalloc size-classes."""

from __future__ import annotations

import json

from python.commands import trimalloc
from trimalloc import size_classes


def test_a_line_for_each_class() -> None:
    header, *lines = trimalloc("size-classes").stdout.splitlines()
    assert header.split()[:2] == ["class", "bytes"]
    assert [int(line.split()[1]) for line in lines] == [one.object_bytes for one in size_classes()]
    assert {len(line.rstrip("*")) for line in lines} == {len(header)}
    assert [line.endswith("*") for line in lines] == [one.python_objects for one in size_classes()]


def test_json_has_the_waste() -> None:
    entries = json.loads(trimalloc("size-classes", "--json").stdout)
    assert len(entries) == 87
    assert all(entry["tail_share"] <= 1 / 28 for entry in entries)
