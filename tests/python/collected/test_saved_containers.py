"""Containers in saved heaps: opened, read, and, copied on write, changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import trimalloc

np = pytest.importorskip("numpy")


def save(path: Path) -> None:
    heap = trimalloc.Heap()

    @heap.record
    class Node:
        id: trimalloc.int64
        children: trimalloc.Map[bytes, Node] | None  # type: ignore[name-defined]

    top = Node(id=1)
    top.children = heap.map(bytes, Node)
    for number in range(2000):
        top.children[b"%d" % number] = Node(id=number)
    trie = heap.trie(bytes, {b"a": b"first", b"abc": b"second"})
    recent = heap.lru(int, float, capacity=3)
    recent.set_many([1, 2, 3, 4], 0.5)
    queue = heap.priority_queue(float, Node)
    queue.push(2.0, top)
    numbers = heap.list(int, range(5000))
    heap.save(path, {"top": top, "trie": trie, "recent": recent, "queue": queue, "list": numbers})


@pytest.mark.parametrize("mode", ["r", "c"])
def test_containers_are_what_they_were(tmp_path: Path, mode: Any) -> None:
    save(tmp_path / "heap")
    heap = trimalloc.open_heap(tmp_path / "heap", mode)
    children = heap.roots["top"].children
    assert repr(children) == "<Map[Bytes, Node] of 2000>"
    assert children[b"77"].id == 77
    assert children.get_many([b"5", b"1999"]).id.tolist() == [5, 1999]
    assert heap.roots["trie"].longest_prefix(b"abcd") == (3, b"second")
    assert list(heap.roots["recent"]) == [2, 3, 4]
    assert heap.roots["recent"][2] == 0.5
    assert heap.roots["queue"].peek()[1].id == 1
    assert heap.roots["list"][4000:4002].tolist() == [4000, 4001]
    if mode == "r":
        with pytest.raises(ValueError, match="reading only"):
            children[b"new"] = heap.roots["top"]
        with pytest.raises(ValueError, match="reading only"):
            heap.roots["list"].append(1)
        return
    children.set_many([b"x%d" % n for n in range(5000)], heap.roots["top"])
    heap.roots["trie"][b"ab"] = b"third"
    heap.roots["list"].extend(range(5000))
    heap.collect()
    assert children[b"x4999"].children[b"77"].id == 77
    assert heap.roots["trie"].longest_prefix(b"abb") == (2, b"third")
    assert len(heap.roots["list"]) == 10_000
    children._verify()
    heap.verify()


def test_the_programs_class_names_its_containers(tmp_path: Path) -> None:
    save(tmp_path / "heap")

    class Node(trimalloc.Record):
        id: trimalloc.int64
        children: trimalloc.Map[bytes, Node] | None

        def twice(self) -> int:
            return 2 * self.id

    heap = trimalloc.open_heap(tmp_path / "heap", classes=[Node])
    assert heap.roots["top"].children[b"21"].twice() == 42
