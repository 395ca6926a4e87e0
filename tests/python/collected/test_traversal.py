"""Walks of the graph of records against the same walks of plain Python objects."""

from __future__ import annotations

import operator
import threading
from graphlib import CycleError
from random import Random
from types import SimpleNamespace
from typing import Any

import numpy
import pytest

import trimalloc

from .shapes import graph_classes

Edges = dict[int, list[int]]

_COMPARISONS = {
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    ">": operator.gt,
}


def random_edges(random: Random, count: int, degree: int) -> Edges:
    return {
        one: [random.randrange(count) for _ in range(random.randrange(degree + 1))]
        for one in range(count)
    }


def linked(g: SimpleNamespace, edges: Edges) -> list[Any]:
    """Return vertices with a list of edges each."""
    vertices = [g.Vertex(id=one) for one in edges]
    for one, targets in edges.items():
        for to in reversed(targets):
            vertices[one].edges = g.Edge(to=vertices[to], next=vertices[one].edges)
    return vertices


def breadth_first(edges: Edges, starts: list[int], allowed: set[int]) -> dict[int, int]:
    depth: dict[int, int] = {}
    queue = []
    for one in starts:
        if one in allowed and one not in depth:
            depth[one] = 0
            queue.append(one)
    for one in queue:
        for to in edges[one]:
            if to in allowed and to not in depth:
                depth[to] = depth[one] + 1
                queue.append(to)
    return depth


def depth_first(edges: Edges, start: int) -> list[int]:
    order: list[int] = []
    stack = [start]
    seen = set()
    while stack:
        one = stack.pop()
        if one not in seen:
            seen.add(one)
            order.append(one)
            stack.extend(reversed(edges[one]))
    return order


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("always", [False, True])
def test_breadth_first_is_that_of_the_model(seed: int, always: bool) -> None:
    random = Random(seed)
    edges = random_edges(random, random.randrange(1, 300), 3)
    g = graph_classes(checked=True)
    g.heap._collect_always(always)
    vertices = linked(g, edges)
    starts = random.sample(sorted(edges), min(3, len(edges)))
    walk = g.heap.breadth_first([vertices[one] for one in starts])
    model = breadth_first(edges, starts, set(edges))
    assert list(zip(walk.records.id, walk.depth, strict=True)) == list(model.items())
    for at, parent in enumerate(walk.parent):
        if parent < 0:
            assert walk.depth[at] == 0
        else:
            assert walk.depth[at] == walk.depth[parent] + 1
            assert walk.records[at].id in edges[walk.records[int(parent)].id]
    assert g.heap.count_reachable([vertices[one] for one in starts]) == len(model)
    near = g.heap.breadth_first([vertices[one] for one in starts], max_depth=2)
    assert near.records.id.tolist() == [one for one, depth in model.items() if depth <= 2]
    few = g.heap.breadth_first([vertices[one] for one in starts], most=5)
    assert few.records.id.tolist() == list(model)[:5]
    g.heap.verify()


@pytest.mark.parametrize("seed", range(20))
def test_depth_first_is_that_of_the_model(seed: int) -> None:
    random = Random(seed)
    edges = random_edges(random, random.randrange(1, 300), 3)
    g = graph_classes()
    vertices = linked(g, edges)
    # The target of an edge before the next edge, as the model does.
    walk = g.heap.depth_first(vertices[0], ["edges", "to", "next"])
    assert walk.records.id.tolist() == depth_first(edges, 0)


@pytest.mark.parametrize("seed", range(20))
def test_a_condition_keeps_records_out(seed: int) -> None:
    random = Random(seed)
    edges = random_edges(random, 200, 3)
    g = graph_classes()
    vertices = linked(g, edges)
    for one, vertex in enumerate(vertices):
        vertex.score = one % 7
    walk = g.heap.breadth_first(vertices[1], where=[("score", "<", 5), ("id", "!=", 9)])
    allowed = {one for one in edges if one % 7 < 5 and one != 9}
    assert walk.records.id.tolist() == list(breadth_first(edges, [1], allowed))


@pytest.mark.parametrize("seed", range(20))
def test_topological_order_puts_causes_first(seed: int) -> None:
    random = Random(seed)
    count = random.randrange(2, 300)
    edges = {
        one: [random.randrange(one + 1, count) for _ in range(3)] if one + 1 < count else []
        for one in range(count)
    }
    g = graph_classes()
    vertices = linked(g, edges)
    order = g.heap.topological(vertices).id.tolist()
    assert sorted(order) == list(range(count))
    place = {one: at for at, one in enumerate(order)}
    assert all(place[one] < place[to] for one, targets in edges.items() for to in targets)
    vertices[-1].edges = g.Edge(to=vertices[count // 2])
    with pytest.raises(CycleError) as caught:
        g.heap.topological(vertices[count // 2 :], of=g.Vertex)
    cycle = [one.id for one in caught.value.args[1] if isinstance(one, g.Vertex)]
    closed = {**edges, count - 1: [count // 2]}
    assert all(to in closed[one] for one, to in zip(cycle, cycle[1:] + cycle[:1], strict=True))


def test_conditions_on_whole_numbers_are_exact() -> None:
    heap = trimalloc.Heap()

    @heap.record
    class Number:
        signed: trimalloc.int64
        unsigned: trimalloc.uint64

    near = [0, 1, -1, 2**53, 2**60, 2**63, -(2**63), 2**64, 2**70, -(2**70)]
    near = sorted({one + step for one in near for step in (-1, 0, 1)})
    others: list[Any] = [*near, *map(float, near), 0.5, -0.5, 2.5, float("inf"), float("-inf")]
    others += [float("nan"), numpy.int64(2**60), numpy.uint64(2**64 - 1), numpy.float32(1.5)]
    for field, least, most in (("signed", -(2**63), 2**63 - 1), ("unsigned", 0, 2**64 - 1)):
        for number in (one for one in near if least <= one <= most):
            record = Number(**{field: number})
            for other in others:
                plain = other.item() if isinstance(other, numpy.generic) else other
                for sign, compare in _COMPARISONS.items():
                    found = heap.count_reachable(record, where=(field, sign, other))
                    assert found == compare(number, plain), (field, number, sign, other)


def test_arrays_of_references_and_derived_classes_are_followed() -> None:
    heap = trimalloc.Heap()

    @heap.record
    class Node:
        id: int
        children: trimalloc.Vec[Node]  # type: ignore[name-defined]
        other: Node | None  # type: ignore[name-defined]

    @heap.record
    class Leaf(Node):
        weight: int | None

    leaves = [Leaf(id=10 + i, weight=i if i % 2 else None) for i in range(4)]
    root = Node(id=1, children=[Node(id=2, children=leaves[:2]), None, *leaves[2:]])
    root.children[0].other = root
    assert heap.breadth_first(root).records.id.tolist() == [1, 2, 12, 13, 10, 11]
    assert heap.depth_first(root).depth.tolist() == [0, 1, 2, 2, 1, 1]
    assert heap.breadth_first(root, of=Leaf).records.id.tolist() == [12, 13, 10, 11]
    assert heap.breadth_first(root, ["other"]).records.id.tolist() == [1]
    odd = heap.breadth_first(root, of=Leaf, where=("weight", ">=", 0))
    assert odd.records.id.tolist() == [13, 11]  # what is absent fulfils nothing


def test_a_list_of_millions_is_walked_without_recursion() -> None:
    g = graph_classes()
    edges = g.Edge.batch(1_000_000)
    edges[:-1].next = edges[1:]
    seen: list[int] = []
    assert g.heap.depth_first(edges[0], progress=seen.append).depth[-1] == 999_999
    assert seen == sorted(seen) and seen
    order = g.heap.topological(edges[0])
    assert numpy.array_equal(numpy.asarray(order), numpy.asarray(edges))


def test_what_was_freed_by_hand_leads_nowhere() -> None:
    g = graph_classes()
    vertices = linked(g, {0: [1], 1: [2], 2: []})
    g.heap.free(vertices.pop(1))
    assert g.heap.breadth_first(vertices[0]).records.id.tolist() == [0]


def test_walks_beside_threads_that_change_the_graph() -> None:
    g = graph_classes(gc_percent=20, procs=2)
    ring = linked(g, {one: [(one + 1) % 500] for one in range(500)})
    held = ring[0]
    del ring
    done = threading.Event()

    def change() -> None:
        random = Random(1)
        at = held
        while not done.is_set():
            for _ in range(random.randrange(20)):
                at = at.edges.to
            # Another vertex with the same number in its successor's place.
            old = at.edges.to
            if old != held:
                at.edges = g.Edge(to=g.Vertex(id=old.id, edges=old.edges))

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(30):
            walk = g.heap.breadth_first(held)
            assert set(walk.records.id.tolist()) == set(range(500))
            assert len(g.heap.depth_first(held)) >= 500
    finally:
        done.set()
        thread.join()
    g.heap.collect()
    g.heap.verify()


def test_a_batch_starts_from_what_it_holds_whatever_its_class_says() -> None:
    g = graph_classes()

    batch = g.Vertex.batch(10)

    class Other(type(batch)):  # type: ignore[misc]
        __slots__ = ()
        record_class = None

        def __buffer__(self, flags: int) -> memoryview:
            return memoryview(b"\xff" * 4096)

    object.__setattr__(batch, "__class__", Other)
    assert g.heap.count_reachable(batch, of=g.Vertex) == 10


def test_memory_goes_back_after_a_walk() -> None:
    # The weak references of samples take pages for good.
    g = graph_classes(sample_bytes=0)
    edges = g.Edge.batch(200_000)
    edges[:-1].next = edges[1:]
    before = g.heap.stats().batch_bytes
    g.heap.count_reachable(edges[0])
    g.heap.depth_first(edges[0])
    g.heap.collect()
    assert g.heap.stats().batch_bytes == before


def test_bad_requests_say_what_is_wrong() -> None:
    g, other = graph_classes(), graph_classes()
    vertex = g.Vertex(id=1)
    with pytest.raises(ValueError, match="no record class has a field of references 'name'"):
        g.heap.breadth_first(vertex, ["name"])
    with pytest.raises(TypeError, match="start is a record"):
        g.heap.breadth_first(3)
    with pytest.raises(TypeError, match="of this heap"):
        g.heap.breadth_first([vertex, other.Vertex()])
    with pytest.raises(ValueError, match="another heap"):
        g.heap.breadth_first(vertex, of=other.Vertex)
    with pytest.raises(ValueError, match="a condition is"):
        g.heap.breadth_first(vertex, where=("id", "~", 1))
    with pytest.raises(TypeError, match="compares a field of whole numbers"):
        g.heap.breadth_first(vertex, where=("name", "==", 1))
    with pytest.raises(ValueError, match="most is at least 1"):
        g.heap.breadth_first(vertex, most=0)


def test_a_limit_is_an_error_and_nothing_is_lost() -> None:
    g = graph_classes(limit="12M")
    edges = g.Edge.batch(300_000)
    edges[:-1].next = edges[1:]
    with pytest.raises(MemoryError):
        g.heap.depth_first(edges[0])
    g.heap.limit = 0
    assert g.heap.count_reachable(edges[0]) == 300_000
    g.heap.verify()
