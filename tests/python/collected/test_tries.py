"""Tries against a dict: exact keys, prefixes, order."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import trimalloc

from .shapes import graph_classes

np = pytest.importorskip("numpy")

# Few letters, so that keys share prefixes; some long parts, so that labels leave their nodes.
PARTS = st.sampled_from([b"", b"a", b"b", b"ab", b"\0", b"\xff", b"long part ", b"x" * 40])
KEYS = st.one_of(st.lists(PARTS, max_size=5).map(b"".join), st.binary(max_size=2))
OPERATIONS = st.sampled_from(["set", "set", "set", "delete", "set_many", "delete_many", "collect"])


def longest(model: dict[bytes, int], key: bytes) -> tuple[int, int] | None:
    for length in range(len(key), -1, -1):
        if key[:length] in model:
            return length, model[key[:length]]
    return None


class Pair:
    """A trie of numbers or of records, and the dict that it must be like."""

    def __init__(self, records: bool) -> None:
        self.world = graph_classes(checked=True)
        self.records = records
        self.trie: Any = self.world.heap.trie(self.world.Vertex if records else trimalloc.int64)
        self.model: dict[bytes, int] = {}

    def value(self, number: int) -> Any:
        return self.world.Vertex(id=number) if self.records else number

    def plain(self, value: Any) -> Any:
        return value.id if isinstance(value, trimalloc.Record) else value

    def set(self, key: bytes, number: int) -> None:
        self.trie[key] = self.value(number)
        self.model[key] = number

    def delete(self, key: bytes, _: int) -> None:
        assert self.plain(self.trie.pop(key, None)) == self.model.pop(key, None)

    def collect(self, *_: Any) -> None:
        self.world.heap.collect()

    def set_many(self, keys: list[bytes]) -> None:
        self.trie.set_many(keys, self.value(7))
        self.model |= dict.fromkeys(keys, 7)

    def delete_many(self, keys: list[bytes]) -> None:
        there = [key for key in dict.fromkeys(keys) if self.model.pop(key, None) is not None]
        assert self.trie.delete_many(keys) == len(there)

    def compare(self, others: list[bytes]) -> None:
        self.trie._verify()
        assert len(self.trie) == len(self.model)
        assert list(self.trie) == sorted(self.model)
        some = [*self.model, *others, *(key + b"a" for key in self.model)]
        assert list(self.trie.contains_many(some)) == [key in self.model for key in some]
        found = self.trie.get_many(some, None if self.records else 0)
        wanted = [self.model.get(key, None if self.records else 0) for key in some]
        assert [self.plain(one) for one in found] == wanted
        expected = [longest(self.model, key) for key in some]
        one_by_one = [self.trie.longest_prefix(key) for key in some]
        assert [one and (one[0], self.plain(one[1])) for one in one_by_one] == expected
        lengths, values = self.trie.longest_prefix_many(some)
        assert list(lengths) == [-1 if one is None else one[0] for one in expected]
        missing = None if self.records else 0
        assert [self.plain(one) for one in values] == [
            one[1] if one else missing for one in expected
        ]
        for prefix in others:
            wanted_keys = sorted(key for key in self.model if key.startswith(prefix))
            assert list(self.trie.starting_with(prefix)) == wanted_keys


@settings(max_examples=80, deadline=None)
@given(data=st.data(), records=st.booleans())
def test_like_a_dict(data: st.DataObject, records: bool) -> None:
    pair = Pair(records)
    for _ in range(data.draw(st.integers(0, 30))):
        operation = data.draw(OPERATIONS)
        if operation.endswith("many"):
            getattr(pair, operation)(data.draw(st.lists(KEYS, max_size=20)))
        else:
            known = st.sampled_from(list(pair.model)) if pair.model else KEYS
            getattr(pair, operation)(data.draw(KEYS | known), data.draw(st.integers(0, 99)))
        pair.trie._verify()
    pair.world.heap.collect()
    pair.compare(data.draw(st.lists(KEYS, max_size=6)))
    pair.trie.shrink()
    pair.compare([])
    pair.world.heap.verify()


@pytest.mark.parametrize("depth", [2, 3, 6])
def test_erasing_where_the_log_has_no_room_to_join_labels(depth: int) -> None:
    """Nodes whose labels could not be joined go with the last key below them."""
    heap = trimalloc.Heap()
    made = heap.trie(trimalloc.int64)
    keys = [b"".join(bytes([first + part]) * 10 for part in range(depth)) for first in b"aq"]
    keys = [key[: 10 * parts] for key in keys for parts in range(1, depth + 1)]
    made.set_many(keys, 1)
    made.shrink()  # the log is full; labels that follow each other in a key are apart in it
    for number, key in enumerate(keys[:depth]):
        del made[key]
        made._verify()
        assert list(made) == sorted(keys[number + 1 :])
    made[keys[0]] = 2
    made.shrink()
    assert dict(made.items()) == dict.fromkeys(keys[depth:], 1) | {keys[0]: 2}
    made._verify()
    heap.verify()


def test_many_children_and_bytes_for_values() -> None:
    heap = trimalloc.Heap()
    made = heap.trie(bytes)
    heap._collect_always(True)
    for first in range(256):
        made[bytes([first])] = b"one"
        made[bytes([first, 255 - first]) + b"and a tail"] = bytes([first]) * 30
    heap._collect_always(False)
    assert len(made) == 512
    assert made[b"\x07\xf8and a tail"] == b"\x07" * 30
    assert made.longest_prefix(b"\x07\xf8and") == (1, b"one")
    assert made.longest_prefix_many([b"\x07\xf8and a tail.", b""])[1] == [b"\x07" * 30, None]
    for first in range(0, 256, 2):
        del made[bytes([first])]
    heap.collect()
    assert made.get_many([b"\x00", b"\x01"], b"-") == [b"-", b"one"]
    made._verify()


def test_tokens_of_a_prefix_cache() -> None:
    heap = trimalloc.Heap()

    @heap.record
    class Block:
        pages: trimalloc.int64

    cache = heap.trie(Block)
    tokens = np.arange(1000, dtype="u4").tobytes()
    cache[tokens[: 4 * 600]] = Block(pages=600)
    cache[tokens] = Block(pages=1000)
    found = cache.longest_prefix(tokens[: 4 * 800])
    assert found is not None
    assert (found[0] // 4, found[1].pages) == (600, 600)
    lengths, blocks = cache.longest_prefix_many([tokens, tokens[:8]])
    assert lengths.tolist() == [4000, -1]
    assert blocks.pages.tolist() == [1000, 0]


def test_bad_input_is_told() -> None:
    heap = trimalloc.Heap()
    made = heap.trie(float, {b"a": 0.5})
    with pytest.raises(TypeError, match="keys are bytes"):
        made["a"] = 1.0  # type: ignore[index]
    with pytest.raises(KeyError):
        made[b"b"]
    with pytest.raises(TypeError):
        made[b"b"] = b"no number"  # type: ignore[assignment]
    assert dict(made.items()) == {b"a": 0.5}
    del made[b"a"]
    assert list(made) == []
    assert made.longest_prefix(b"a") is None
