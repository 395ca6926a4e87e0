"""Record classes and handles: fields, references, identity, errors."""

from __future__ import annotations

import copy
import gc
import os
import subprocess
import sys
import weakref
from collections.abc import Iterator
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

import trimalloc

from .shapes import graph_classes


@pytest.mark.parametrize(
    ("kind", "least", "most"),
    [(f"int{b}", -(1 << (b - 1)), (1 << (b - 1)) - 1) for b in (8, 16, 32, 64)]
    + [(f"uint{b}", 0, (1 << b) - 1) for b in (8, 16, 32, 64)],
)
def test_whole_numbers_keep_their_range(kind: str, least: int, most: int) -> None:
    heap = trimalloc.Heap()

    class Number:
        __annotations__ = {"before": "int8", "value": kind, "after": "int8"}

    names = {kind: getattr(trimalloc, kind), "int8": trimalloc.int8}
    globals().update(names)
    record = heap.record(Number)(before=-1, after=-1)  # type: ignore[call-arg]
    for value in (least, most, 0, 1):
        record.value = value
        assert record.value == value
        assert (record.before, record.after) == (-1, -1)
    for value in (least - 1, most + 1, 1 << 70):
        with pytest.raises(OverflowError, match="does not fit"):
            record.value = value
    with pytest.raises(TypeError):
        record.value = 1.5
    assert record.value == 1


def test_every_kind_of_field_reads_what_was_written() -> None:
    heap = trimalloc.Heap()

    @heap.record
    class All:
        flag: trimalloc.bool_
        half: trimalloc.float16
        single: trimalloc.float32
        double: trimalloc.float64
        small: trimalloc.complex64
        large: trimalloc.complex128
        fixed: trimalloc.Array[trimalloc.int16, 3]  # type: ignore[valid-type]
        text: trimalloc.Str
        data: trimalloc.Bytes
        numbers: trimalloc.Vec[trimalloc.float64]
        perhaps: trimalloc.int32 | None
        others: trimalloc.Vec[All]  # type: ignore[name-defined]

    one = All()
    assert (one.flag, one.half, one.small, one.text, one.perhaps) == (False, 0, 0, None, None)
    assert list(one.fixed) == [0, 0, 0]
    one.flag, one.half, one.single, one.double = True, 0.5, 0.25, 0.1
    one.small, one.large = 1 + 2j, 3 - 4j
    one.fixed = [1, -2, 3]
    one.text, one.data = "Bäume", b"\0\1"
    one.numbers = [1.5, 2.5]
    one.perhaps = 7
    one.others = [one, None, All(double=2)]
    assert (one.flag, one.half, one.single, one.double) == (True, 0.5, 0.25, 0.1)
    assert (one.small, one.large) == (1 + 2j, 3 - 4j)
    assert list(one.fixed) == [1, -2, 3]
    assert (one.text, one.data) == ("Bäume", b"\0\1")
    assert one.numbers.tolist() == [1.5, 2.5]
    assert one.perhaps == 7
    assert one.others[0] == one
    assert one.others[1] is None
    assert one.others[2].double == 2
    one.perhaps = None
    assert one.perhaps is None
    with pytest.raises(ValueError, match="takes 3 elements, not 2"):
        one.fixed = [1, 2]
    with pytest.raises(TypeError, match="takes str"):
        one.text = b"bytes"
    with pytest.raises(OverflowError):
        one.single = 1e300
    heap.verify()


@pytest.mark.parametrize("has_numpy", [True, False])
@pytest.mark.parametrize("kind", ["float16", "complex64", "complex128"])
def test_arrays_that_memoryview_may_not_know_can_be_read(
    monkeypatch: pytest.MonkeyPatch, has_numpy: bool, kind: str
) -> None:
    if not has_numpy:
        monkeypatch.setitem(sys.modules, "numpy", None)
    heap = trimalloc.Heap()
    number = getattr(trimalloc, kind)
    fields = {"fixed": trimalloc.Array[number, 2], "varying": trimalloc.Vec[number]}
    made: type = heap.record(type("Made", (), {"__annotations__": fields}))
    numbers = [0.5, 1.5] if kind == "float16" else [0.5, 1 + 2j]
    one = made(fixed=numbers, varying=numbers * 2)
    assert list(one.fixed) == numbers
    assert list(one.varying) == numbers * 2
    assert repr(one).startswith("Made(fixed=")
    gone = []
    heap.on_reclaim(made, gone.append)
    del one
    heap.collect()
    assert list(gone[0].fixed) == numbers


@given(st.binary(max_size=20000), st.text(max_size=3000))
def test_bytes_and_text_come_back(data: bytes, text: str) -> None:
    heap = trimalloc.Heap()

    @heap.record
    class Note:
        data: trimalloc.Bytes | None
        text: trimalloc.Str | None

    note = Note(data=data)
    try:
        note.text = text
    except UnicodeEncodeError:
        text = ""  # a lone surrogate has no UTF-8
        note.text = text
    heap.collect()
    assert (note.data, note.text) == (data, text)


def test_cycles_are_collected_and_what_a_handle_reaches_is_not() -> None:
    g = graph_classes()
    one = g.Vertex(id=1)
    one.edges = g.Edge(to=one)
    for i in range(1000):
        other = g.Vertex(id=i)
        other.edges = g.Edge(to=other)
    del other
    g.heap.collect()
    assert g.heap.stats().heap_bytes == 32 + 16
    assert one.edges.to == one
    assert one.edges.to.id == 1


def test_handles_of_one_record_are_equal_and_hash_alike() -> None:
    g = graph_classes()
    one, other = g.Vertex(id=1), g.Vertex(id=1)
    edge = g.Edge(to=one)
    assert edge.to == one
    assert edge.to is not one
    assert {edge.to, one, other} == {one, other}
    assert one != other
    assert one != 1


def test_a_handle_through_which_a_record_was_freed_equals_itself_alone() -> None:
    g = graph_classes()
    one, other = g.Vertex(id=1), g.Vertex(id=2)
    found = {one: 1, other: 2}
    hashes = hash(one), hash(other)
    g.heap.free(one)
    g.heap.free(other)
    assert one != other
    assert (hash(one), hash(other)) == hashes
    assert (found[one], found[other]) == (1, 2)
    assert one not in [g.Vertex() for _ in range(1000)]  # some lie where it lay


def test_repr_ends_where_a_list_leads_back() -> None:
    heap = trimalloc.Heap()

    @heap.record
    class Node:
        name: trimalloc.Str
        to: trimalloc.Vec[Node]
        numbers: trimalloc.Vec[trimalloc.int64] | None

    one, other = Node(name="one"), Node(name="other")
    one.to = [one, other]
    other.to = [one]
    assert repr(one) == "Node(name='one', to=<2 records>, numbers=None)"
    assert repr(Node(name="", to=[])) == "Node(name='', to=<0 records>, numbers=None)"


def test_a_record_class_keeps_its_methods_and_names() -> None:
    g = graph_classes()
    assert g.Vertex(21).doubled() == 42
    assert g.Vertex.__name__ == "Vertex"
    assert g.Vertex.__module__ == __name__.replace("test_records", "shapes")
    assert repr(g.Vertex(id=3, name=b"x")) == "Vertex(id=3, score=0.0, name=b'x', edges=None)"
    match g.Vertex(5, 0.5):
        case g.Vertex(identity, score):
            assert (identity, score) == (5, 0.5)


def test_a_heap_has_one_class_of_a_name() -> None:
    g = graph_classes()

    class Vertex:
        other: trimalloc.float64

    with pytest.raises(TypeError, match=r"has a class Vertex already.*another name"):
        g.heap.record(Vertex)
    assert g.heap.record(g.Vertex) is g.Vertex  # this very one
    assert list(g.heap.classes.values()) == [g.Vertex, g.Edge, g.Place]
    assert g.heap.count_reachable(g.Vertex(edges=g.Edge())) == 1


def test_names_that_batches_need_are_refused() -> None:
    for name in ("record_class", "_take", "_layout", "__len__"):
        draft = type("Draft", (), {"__annotations__": {name: trimalloc.int64}})
        with pytest.raises(TypeError, match=f"field '{name}': batches have something else"):
            trimalloc.Heap().record(draft)


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("__init__", "a classmethod"),
        ("__new__", "a classmethod"),
        ("__del__", "on_reclaim"),
        ("__getattr__", "properties"),
        ("__getattribute__", "properties"),
        ("__setattr__", "properties"),
        ("__delattr__", "properties"),
    ],
)
def test_methods_that_would_never_be_called_are_refused(name: str, instead: str) -> None:
    draft = type("Draft", (), {"__annotations__": {"id": trimalloc.int64}, name: print})
    with pytest.raises(TypeError, match=f"Draft.{name} would never be called.*{instead}"):
        trimalloc.Heap().record(draft)


def test_a_derived_class_has_the_fields_of_its_base_first() -> None:
    g = graph_classes()
    place = g.Place(id=4, latitude=52.5)
    place.twin = place
    edge = g.Edge(to=place)
    g.heap.collect()
    assert isinstance(edge.to, g.Vertex)
    assert type(edge.to) is g.Place
    assert (edge.to.id, edge.to.latitude, edge.to.twin == place) == (4, 52.5, True)
    with pytest.raises(TypeError, match="takes Vertex"):
        edge.to = g.Edge()


def test_a_record_keeps_its_class_and_a_class_its_bases() -> None:
    g, other = graph_classes(), graph_classes()
    numbers, floats = g.heap.list(int), g.heap.list(float)
    records = [g.Vertex(id=1), g.Place(id=2), g.Edge(), numbers, floats]
    classes = [*map(type, records), other.Vertex, g.Vertex.__base__, trimalloc.List]
    for record in records:
        own = type(record)
        for one in classes:
            if one is own:
                continue
            with pytest.raises(TypeError):
                record.__class__ = one
            with pytest.raises(TypeError):
                object.__setattr__(record, "__class__", one)
        assert record.__class__ is type(record) is own
    with pytest.raises(TypeError, match="__bases__"):
        g.Place.__bases__ = (g.Edge,)
    # All else of a class can be changed, as ever.
    g.Vertex.tripled = lambda self: self.id * 3
    assert g.Place(id=5).tripled() == 15
    del g.Vertex.tripled


def test_a_copy_is_a_record_of_its_own() -> None:
    g = graph_classes()
    one = g.Place(id=4, name=b"n", latitude=1.5)
    one.twin = one
    other = copy.copy(one)
    assert other != one
    assert (other.id, other.name, other.latitude, other.twin == one) == (4, b"n", 1.5, True)
    other.id = 5
    assert one.id == 4


def test_defaults_are_those_of_the_class_body() -> None:
    heap = trimalloc.Heap()

    @heap.record
    class Setting:
        weight: trimalloc.float64 = 0.5
        name: trimalloc.Str = "none"
        count: int = 3

    assert repr(Setting()) == "Setting(weight=0.5, name='none', count=3)"
    assert Setting(count=0).count == 0


def test_arrays_hold_what_a_field_of_their_element_would() -> None:
    heap = trimalloc.Heap()

    @heap.record
    class Item:
        number: int

    @heap.record
    class Row:
        flags: trimalloc.Vec[bool]
        whole: trimalloc.Vec[int] | None
        real: trimalloc.Vec[float]
        items: trimalloc.Vec[Item | None]
        later: trimalloc.Vec["Later | None"]  # type: ignore[name-defined]  # noqa: UP037
        latest: trimalloc.Vec[Later | None]  # type: ignore[name-defined]
        maps: trimalloc.Vec[trimalloc.Map[trimalloc.int64, Item]]

    @heap.record
    class Later:
        pass

    item, later, index = Item(number=1), Later(), heap.map(int, Item)
    row = Row(flags=[True, False], whole=[1, 2], real=[0.5], items=[item, None])
    row.later = row.latest = [None, later]
    row.maps = [index]
    assert (row.flags.tolist(), row.whole.tolist()) == ([True, False], [1, 2])
    assert (row.real.tolist(), row.items) == ([0.5], [item, None])
    assert (row.later, row.latest, row.maps) == ([None, later], [None, later], [index])
    for name, wrong in (("items", later), ("later", item), ("maps", item)):
        with pytest.raises(TypeError, match=f"field '{name}' takes"):
            setattr(row, name, [wrong])
    heap.verify()


@pytest.mark.parametrize(
    "element",
    [
        *(5, None, object(), bytes, str, list[int], int | None, int | str, "bytes", "int | None"),
        *(trimalloc.Bytes, trimalloc.Str, trimalloc.Vec[trimalloc.int64]),  # type: ignore[misc]
        trimalloc.Array[trimalloc.int64, 3],  # type: ignore[misc, valid-type]
    ],
)
def test_arrays_hold_nothing_else(element: Any) -> None:
    heap = trimalloc.Heap()
    vec: Any = trimalloc.Vec

    def declare() -> None:
        heap.record(type("Wrong", (), {"__annotations__": {"many": vec[element]}}))

    with pytest.raises(TypeError, match=r"Vec takes|nothing that a record can hold"):
        declare()


def test_any_number_of_fields_is_found_by_name() -> None:
    heap = trimalloc.Heap()
    names = [f"field_{number}" for number in range(200)]
    wide = heap.record(type("Wide", (), {"__annotations__": dict.fromkeys(names, int)}))
    record = wide()
    for number, name in enumerate(names):
        setattr(record, name, number << 40)
    assert [getattr(record, name) for name in names] == [n << 40 for n in range(200)]
    assert getattr(record, "".join(["fie", "ld_7"])) == 7 << 40  # not interned
    with pytest.raises(AttributeError):
        _ = record.field_200


def test_a_reference_takes_records_of_its_class_and_of_those_that_derive_from_it() -> None:
    heap = trimalloc.Heap()

    @heap.record
    class Holder:
        item: Item | None  # type: ignore[name-defined]

    holder = Holder()
    with pytest.raises(TypeError, match="not declared yet"):
        holder.item = holder

    @heap.record
    class Item:
        number: int

    @heap.record
    class Special(Item):  # type: ignore[misc, valid-type]
        pass

    for _ in range(2):  # looked up, then known
        for value in (Item(1), Special(2), None):
            holder.item = value
            assert holder.item == value
        for wrong in (holder, 1, trimalloc.Heap().record(type("Item", (), {}))()):
            with pytest.raises((TypeError, ValueError)):
                holder.item = wrong
    item = Item(3)
    holder.item = item
    heap.free(item)
    with pytest.raises(ReferenceError):
        holder.item = item
    assert holder.item is None


STORES = """
import trimalloc, os, threading
heap = trimalloc.Heap(checked=True)
@heap.record
class Node:
    number: int
    other: "Node | None"
nodes = [Node(number) for number in range(20)]
done = False
def collect():
    while not done:
        heap.collect()
def move(first):
    for turn in range(4000):
        a, b = nodes[(first + turn) % 20], nodes[(first + 7 * turn) % 20]
        kept = a.other
        a.other = Node(-1)
        b.other = kept
        assert kept is None or kept.number == -1
def all_at_once():
    global done
    done = False
    threads = [threading.Thread(target=move, args=(first,)) for first in range(3)]
    collector = threading.Thread(target=collect)
    for thread in (collector, *threads): thread.start()
    for thread in threads: thread.join()
    done = True
    collector.join()
    heap.verify()
    assert [node.number for node in nodes] == list(range(20))
all_at_once()
child = os.fork()
if child == 0:
    all_at_once()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
heap.freeze()
all_at_once()
print("done")
"""


@pytest.mark.parametrize("sequences", [True, False], ids=["sequences", "none"])
def test_references_move_while_others_collect(sequences: bool) -> None:
    off = {} if sequences else {"GLIBC_TUNABLES": "glibc.pthread.rseq=0"}
    result = subprocess.run(
        [sys.executable, "-c", STORES],
        env={**os.environ, **off},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout) == (0, "done\n"), result.stderr


def test_misuse_says_what_to_do() -> None:
    g, other = graph_classes(), graph_classes()
    vertex = g.Vertex()
    with pytest.raises(TypeError, match="no field 'nope'"):
        g.Vertex(nope=1)
    with pytest.raises(TypeError, match="5 values were given"):
        g.Vertex(1, 2, b"", None, 5)
    with pytest.raises(TypeError, match="'id' twice"):
        g.Vertex(1, id=1)
    with pytest.raises(AttributeError):
        vertex.nope = 1
    with pytest.raises(AttributeError, match="cannot be deleted"):
        del vertex.id
    with pytest.raises(ValueError, match="another heap"):
        vertex.edges = other.Edge()

    class Plain(g.Vertex):  # type: ignore[misc, name-defined]
        pass

    with pytest.raises(TypeError, match=r"declare Plain with @heap\.record"):
        Plain()
    with pytest.raises(TypeError, match="nothing that a record can hold"):

        @g.heap.record
        class Wrong:
            items: list[int]

    with pytest.raises(TypeError):
        g.Vertex.__new__(g.Vertex)
    g.heap.verify()


def test_a_freed_record_is_gone_for_every_handle() -> None:
    g = graph_classes(checked=True)
    one = g.Vertex(id=1)
    edge = g.Edge(to=one)
    again = edge.to
    g.heap.free(one)
    for handle in (one, again):
        with pytest.raises(ReferenceError, match="freed"):
            handle.id  # noqa: B018
        with pytest.raises(ReferenceError, match="freed"):
            handle.id = 2
        assert repr(handle) == "<Vertex, freed>"
    assert edge.to is None
    with pytest.raises(ReferenceError):
        g.heap.free(again)
    with pytest.raises(ReferenceError):
        edge.to = again
    g.heap.collect()
    g.heap.verify()


class Frees:
    """Any value: to look at it frees a record, through another handle or the same."""

    def __init__(self, heap: trimalloc.Heap, record: Any, value: Any) -> None:
        self.heap = heap
        self.record = record
        self.value = value

    def free(self) -> Any:
        self.heap.free(self.record)
        return self.value

    def __index__(self) -> int:
        return cast("int", self.free())

    def __iter__(self) -> Iterator[Any]:
        return iter([self.free()])

    def __buffer__(self, flags: int) -> memoryview:
        if self.value is None:
            raise BufferError
        return memoryview(self.free())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("number", 1),
        ("fixed", 1),
        ("numbers", 1),
        ("others", None),
        pytest.param(
            "data",
            b"x" * 10,
            marks=pytest.mark.skipif(sys.version_info < (3, 12), reason="no __buffer__"),
        ),
    ],
)
@pytest.mark.parametrize("same_handle", [False, True])
def test_a_value_that_frees_the_record_is_not_written(
    name: str, value: Any, same_handle: bool
) -> None:
    heap = trimalloc.Heap()

    @heap.record
    class Row:
        number: int
        fixed: trimalloc.Array[trimalloc.int64, 1]  # type: ignore[valid-type]
        numbers: trimalloc.Vec[trimalloc.int64]
        others: trimalloc.Vec[Row]  # type: ignore[name-defined]
        data: trimalloc.Bytes

    batch = Row.batch(2)  # type: ignore[attr-defined]
    row = batch[0]
    given = Frees(heap, row if same_handle else batch[0], value)
    with pytest.raises(ReferenceError, match="freed"):
        setattr(row, name, [given] if name in ("fixed", "numbers") else given)
    heap.verify()


def test_a_list_may_lose_numbers_while_they_are_converted() -> None:
    heap = trimalloc.Heap()

    @heap.record
    class Row:
        numbers: trimalloc.Vec[trimalloc.int64]
        fixed: trimalloc.Array[trimalloc.int64, 1001]  # type: ignore[valid-type]

    class Clearing:
        def __index__(self) -> int:
            numbers.clear()
            return 1

    row = Row()
    for name in ("numbers", "fixed"):
        numbers: list[Any] = [Clearing(), *[7] * 1000]
        setattr(row, name, numbers)
        assert getattr(row, name).tolist() == [1, *[7] * 1000]
    with pytest.raises(TypeError, match="takes a sequence of numbers"):
        row.numbers = 5


def test_handles_are_invisible_to_pythons_collector() -> None:
    g = graph_classes()
    vertex = g.Vertex()
    assert not gc.is_tracked(vertex)


def test_a_heap_goes_with_the_last_of_its_handles() -> None:
    g = graph_classes()
    vertex = g.Vertex(id=9)
    heap = weakref.ref(g.heap)
    del g
    gc.collect()
    assert vertex.id == 9
    assert heap() is not None
    del vertex
    gc.collect()
    assert heap() is None


def test_a_limit_is_a_memory_error_and_leaves_the_heap_usable() -> None:
    g = graph_classes(limit="4M")
    kept = []
    with pytest.raises(MemoryError, match="limit of 4194304 bytes"):
        while True:
            kept.append(g.Vertex())
    with pytest.raises(MemoryError):
        g.Vertex.batch(1_000_000)
    g.heap.verify()
    kept.clear()
    g.heap.collect()
    assert g.Vertex(id=1).id == 1
    g.heap.limit = 0
    assert len(g.Vertex.batch(1_000_000)) == 1_000_000
