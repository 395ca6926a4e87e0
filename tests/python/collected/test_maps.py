"""Maps and LRU maps against a dict and an OrderedDict, one by one and in bulk."""

from __future__ import annotations

import copy
import os
import sys
import threading
from array import array
from collections import OrderedDict
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import trimalloc

from .shapes import graph_classes

np = pytest.importorskip("numpy")

NUMBERS = st.one_of(st.integers(-4, 20), st.integers(-(2**63), 2**63 - 1))
STRINGS = st.one_of(st.binary(max_size=3), st.binary(max_size=300))
OPERATIONS = st.sampled_from(
    ["set", "set", "set", "delete", "get", "pop", "set_many", "delete_many", "clear", "collect"]
)
KINDS = st.sampled_from(["number", "float", "bytes", "record"])


def values_of(kind: str, world: SimpleNamespace) -> tuple[Any, Any]:
    """Return the type of the values, and what makes one of a small number."""
    return {
        "number": (trimalloc.int64, lambda n: n),
        "float": (float, lambda n: n / 2),
        "bytes": (bytes, lambda n: bytes([n % 256]) * (n % 50)),
        "record": (world.Vertex, lambda n: world.Vertex(id=n)),
    }[kind]


def column(kind: str, world: SimpleNamespace, values: list[Any]) -> Any:
    if kind != "record":
        return values
    batch = world.Vertex.batch(len(values))
    batch.id = np.array([one.id for one in values], "i8")
    return batch


def plain(value: Any) -> Any:
    """Return what stands for a value in the model: of a record its number."""
    return value.id if isinstance(value, trimalloc.Record) else value


class Pair:
    """A map, and the OrderedDict that it must be like."""

    def __init__(self, strings: bool, kind: str, capacity: int | None) -> None:
        self.world = graph_classes(checked=True)
        self.heap = self.world.heap
        self.kind = kind
        self.capacity = capacity
        value_type, self.make = values_of(kind, self.world)
        key_type = bytes if strings else trimalloc.int64
        self.map: Any = (
            self.heap.map(key_type, value_type)
            if capacity is None
            else self.heap.lru(key_type, value_type, capacity=capacity)
        )
        self.model: OrderedDict[Any, Any] = OrderedDict()

    def note(self, key: Any, value: Any) -> None:
        self.model[key] = plain(value)
        self.model.move_to_end(key)
        if self.capacity is not None and len(self.model) > self.capacity:
            self.model.popitem(last=False)

    def set(self, key: Any, number: int) -> None:
        value = self.make(number)
        self.map[key] = value
        self.note(key, value)

    def delete(self, key: Any, _: int) -> None:
        if self.model.pop(key, None) is not None:
            del self.map[key]
            return
        with pytest.raises(KeyError):
            del self.map[key]

    def get(self, key: Any, _: int) -> None:
        assert plain(self.map.get(key)) == self.model.get(key)
        if key in self.model:
            self.model.move_to_end(key)

    def pop(self, key: Any, _: int) -> None:
        assert plain(self.map.pop(key, None)) == self.model.pop(key, None)

    def clear(self, *_: Any) -> None:
        self.map.clear()
        self.model.clear()

    def collect(self, *_: Any) -> None:
        self.heap.collect()

    def set_many(self, keys: list[Any]) -> None:
        values = [self.make(i) for i in range(len(keys))]
        self.map.set_many(keys, column(self.kind, self.world, values))
        for key, value in zip(keys, values, strict=True):
            self.note(key, value)

    def delete_many(self, keys: list[Any]) -> None:
        there = [key for key in dict.fromkeys(keys) if self.model.pop(key, None) is not None]
        assert self.map.delete_many(keys) == len(there)

    def compare(self, others: list[Any]) -> None:
        self.heap.collect()
        self.heap.verify()
        self.map._verify()
        assert len(self.map) == len(self.model)
        if self.capacity is None:
            assert set(self.map) == set(self.model)
        else:
            assert list(self.map) == list(self.model)
        some = [*self.model, *others]
        assert list(self.map.contains_many(some)) == [key in self.model for key in some]
        missing = None if self.kind in ("bytes", "record") else 0
        found = self.map.get_many(some, missing)
        assert [plain(one) for one in found] == [self.model.get(key, missing) for key in some]


@settings(max_examples=60, deadline=None)
@given(data=st.data(), strings=st.booleans(), kind=KINDS, capacity=st.sampled_from([None, 1, 7]))
def test_like_a_dict(data: st.DataObject, strings: bool, kind: str, capacity: int | None) -> None:
    pair = Pair(strings, kind, capacity)
    keys = STRINGS if strings else NUMBERS
    for _ in range(data.draw(st.integers(0, 30))):
        operation = data.draw(OPERATIONS)
        if operation.endswith("many"):
            getattr(pair, operation)(data.draw(st.lists(keys, max_size=40)))
        else:
            known = st.sampled_from(list(pair.model)) if pair.model else keys
            getattr(pair, operation)(data.draw(keys | known), data.draw(st.integers(0, 1000)))
    pair.compare(data.draw(st.lists(keys, max_size=10)))


def test_the_values_of_a_map_live_as_long_as_it_does() -> None:
    world = graph_classes()
    made = world.heap.map(trimalloc.int64, world.Vertex)
    weak = []
    for number in range(100):
        made[number] = vertex = world.Vertex(id=number)
        weak.append(world.heap.weakref(vertex))
    del vertex
    world.heap.collect()
    assert all(one() is not None for one in weak)
    made.delete_many(np.arange(50))
    world.heap.collect()
    assert [one() is not None for one in weak] == [False] * 50 + [True] * 50
    del made
    world.heap.collect()
    assert all(one() is None for one in weak)


def test_a_field_holds_a_map_of_maps() -> None:
    heap = trimalloc.Heap()

    @heap.record
    class Node:
        id: trimalloc.int64
        children: trimalloc.Map[trimalloc.int64, Node] | None  # type: ignore[name-defined]

    top = Node(id=1)
    top.children = heap.map(trimalloc.int64, Node)
    top.children[5] = Node(id=5)
    inner = heap.map(bytes, type(top.children))
    inner[b"top"] = top.children
    heap.collect()
    assert inner[b"top"][5].id == 5
    assert [one.id for one in top.children.get_many([5, 6])[:1]] == [5]
    with pytest.raises(TypeError, match="children"):
        top.children = heap.map(trimalloc.int64, int)


def test_collections_while_a_map_grows() -> None:
    heap = trimalloc.Heap(checked=True)
    made = heap.map(bytes, bytes)
    heap._collect_always(True)
    for number in range(300):
        made[b"%d" % number] = b"%d" % (number * number)
    heap._collect_always(False)
    assert made.get_many([b"%d" % n for n in range(300)]) == [b"%d" % (n * n) for n in range(300)]
    heap.freeze()
    made[b"0"] = b"new"
    made.set_many([b"x%d" % n for n in range(3000)], b"same")
    heap.collect()
    assert made[b"0"] == b"new"
    assert made[b"x2999"] == b"same"
    heap.verify()


def test_an_lru_map_tells_what_had_to_go() -> None:
    heap = trimalloc.Heap()
    made = heap.lru(bytes, int, capacity=2)
    assert made.put(b"a", 1) is None
    assert made.put(b"b", 2) is None
    assert made[b"a"] == 1
    assert made.peek(b"b") == 2
    assert b"b" in made
    assert made.put(b"c", 3) == (b"b", 2)
    assert made.set_many([b"d", b"e"], 0) == 2
    assert list(made) == [b"d", b"e"]
    made.capacity = 1
    assert list(made.items()) == [(b"e", 0)]
    assert made.popitem() == (b"e", 0)
    with pytest.raises(KeyError):
        made.popitem()
    with pytest.raises(ValueError, match="capacity"):
        heap.lru(int, int, capacity=0)


def test_bad_input_is_told_and_changes_nothing() -> None:
    world = graph_classes()
    numbers = world.heap.map(trimalloc.int64, trimalloc.int64)
    with pytest.raises(TypeError):
        numbers[b"a"] = 1
    with pytest.raises(OverflowError):
        numbers[2**63] = 1
    with pytest.raises(TypeError):
        numbers[1] = "one"
    with pytest.raises(TypeError, match="whole numbers"):
        numbers.get_many(np.array([0.5]))
    for bad in ([0.5], ["1"], ["one"], [1 + 2j]):
        with pytest.raises(TypeError):
            numbers.set_many(bad, 1)
        with pytest.raises(TypeError):
            numbers.set_many([1], bad)
    with pytest.raises(OverflowError):
        numbers.set_many([2**64], 1)
    with pytest.raises(TypeError):
        numbers.get_many([1], default=1.9)
    with pytest.raises(TypeError):
        world.heap.priority_queue(float, int).push_many(["1"], 1)
    with pytest.raises(OverflowError):
        numbers.get_many(np.array([2**64 - 1], "u8"))
    with pytest.raises(ValueError, match="2 values"):
        numbers.set_many([1, 2], [1])
    with pytest.raises(KeyError, match="give a default"):
        numbers.get_many([1])
    assert len(numbers) == 0
    records = world.heap.map(bytes, world.Edge)
    with pytest.raises(TypeError, match="Edge"):
        records[b""] = world.Vertex()
    with pytest.raises(TypeError, match="does not hold"):
        records.set_many([b"a"], world.Vertex.batch(1))
    with pytest.raises(ValueError, match="another heap"):
        records[b""] = graph_classes().Edge()
    with pytest.raises(TypeError, match="keys are"):
        world.heap.map(float, int)
    with pytest.raises(TypeError, match="values are"):
        world.heap.map(int, str)
    with pytest.raises(TypeError, match="clear"):
        world.heap.free(records)
    with pytest.raises(TypeError, match="fill a new one"):
        copy.copy(records)

    @world.heap.record
    class Derived(type(records)):  # type: ignore[misc]
        more: trimalloc.int64

    with pytest.raises(TypeError, match="use one as a field"):
        len(Derived())


def test_a_limit_leaves_the_map_whole() -> None:
    heap = trimalloc.Heap(limit=8 << 20)
    made = heap.map(trimalloc.int64, trimalloc.int64)
    with pytest.raises(MemoryError):
        made.set_many(np.arange(10_000_000), 1)
    with pytest.raises(MemoryError):
        for number in range(10_000_000):
            made[number] = number
    made._verify()
    assert made[5] == 5


def test_iteration_notices_changes() -> None:
    heap = trimalloc.Heap()
    made = heap.map(int, int, {n: n for n in range(3000)})
    with pytest.raises(RuntimeError, match="changed"):
        for key in made:
            made[-key - 1] = 0
    assert sorted(heap.map(int, int, [(1, 2), (3, 4)]).items()) == [(1, 2), (3, 4)]
    assert sorted(made.keys_array().tolist()) == sorted(made)


def test_several_threads_use_one_map() -> None:
    heap = trimalloc.Heap()
    made = heap.map(trimalloc.int64, trimalloc.int64)
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            own = np.arange(number, 80_000, 4)
            made.set_many(own, own * 3)
            for key in own[:2000].tolist():
                made[key] += 1
            assert (made.get_many(own[2000:]) == own[2000:] * 3).all()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(5):
        heap.collect()
    for thread in threads:
        thread.join()
    assert not failures
    assert len(made) == 80_000
    made._verify()
    heap.verify()


def test_a_forked_child_has_whole_maps() -> None:
    heap = trimalloc.Heap()
    made = heap.map(trimalloc.int64, trimalloc.int64)
    done = threading.Event()

    def work() -> None:
        first = 0
        while not done.is_set():
            made.set_many(np.arange(first, first + 20_000), 1)
            first += 20_000

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for _ in range(5):
            child = os.fork()
            if child == 0:
                made._verify()
                made[-1] = 5
                os._exit(0 if made[-1] == 5 and len(made.keys_array()) == len(made) else 1)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        done.set()
        thread.join()


def test_threads_that_ask_for_the_first_map_get_one_class() -> None:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(50):
            heap = trimalloc.Heap()
            together, made = threading.Barrier(4), []

            def ask(heap: Any = heap, together: Any = together, made: Any = made) -> None:
                together.wait()
                one = heap.map(int, int)
                one[1] = 2
                made.append(type(one))

            threads = [threading.Thread(target=ask) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert made == 4 * [heap.classes["Map[int64, int64]"]]
    finally:
        sys.setswitchinterval(interval)


def test_columns_without_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)
    heap = trimalloc.Heap()
    made = heap.map(int, float)
    made.set_many([1, 2, 3], array("d", [0.5, 1.5, 2.5]))
    made.set_many(range(10, 12), 4)
    assert made.get_many([3, 10, 7], -1.0) == array("d", [2.5, 4.0, -1.0])
    assert list(made.contains_many([1, 7])) == [1, 0]
    assert sorted(made.keys_array()) == [1, 2, 3, 10, 11]
    queue = heap.priority_queue(float, int)
    queue.push_many([2.0, 1.0], [1, 2])
    assert queue.pop_many(5) == (array("d", [1.0, 2.0]), array("q", [2, 1]))
    assert list(heap.list(int, range(3000))) == list(range(3000))
    assert heap.trie(int, {b"a": 1}).longest_prefix_many([b"ab"])[0] == array("q", [1])
