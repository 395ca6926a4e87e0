"""Paths, histograms and retained bytes against plain Python models."""

from __future__ import annotations

import threading
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

import trimalloc

from .shapes import graph_classes
from .test_traversal import Edges, breadth_first, linked, random_edges


def retained_by_removal(
    edges: Edges, roots: list[int], size: dict[int, int], gone: set[int]
) -> int:
    """Return the bytes that only `gone` lead to, themselves counted: by taking them out."""
    everything = set(breadth_first(edges, roots, set(edges)))
    without = set(breadth_first(edges, roots, set(edges) - gone))
    return sum(size[one] for one in everything - without)


def binary_nodes(**options: Any) -> SimpleNamespace:
    """Return a heap with Node and Wide(Node), two references each."""
    heap = trimalloc.Heap(**options)

    @heap.record
    class Node:
        id: trimalloc.int64
        left: Node | None  # type: ignore[name-defined]
        right: Node | None  # type: ignore[name-defined]

    @heap.record
    class Wide(Node):
        more: int

    return SimpleNamespace(heap=heap, Node=Node, Wide=Wide)


def slot_bytes(heap: trimalloc.Heap, record_class: type) -> int:
    """Return what a record takes: its size in whole granules."""
    return (heap.c_layout(record_class).size + 15) // 16 * 16


def test_why_names_fields_and_roots() -> None:
    g = graph_classes()
    vertex = g.Vertex(id=1)
    assert g.heap.why(vertex) is None
    second = vertex.__copy__()
    second.edges = g.Edge(next=g.Edge(to=vertex))
    del vertex
    path = g.heap.why(second.edges.next.to)
    assert path is not None
    assert str(path) == "a handle\n  Vertex.edges\n  Edge.next\n  Edge.to\n  Vertex"
    assert path.steps[0].record == second
    assert path.steps[-1].record.id == 1
    batch = g.Vertex.batch(10)
    batch[7].edges = second.edges
    edge = second.edges
    second.edges = None
    del path  # its steps are handles
    path = g.heap.why(edge)
    assert path is not None
    assert path.root == "a batch of 10, position 7"
    del batch, path
    assert g.heap.why(edge) is None


def test_why_goes_through_arrays_and_what_is_permanent() -> None:
    heap = trimalloc.Heap()

    @heap.record
    class Node:
        children: trimalloc.Vec[Node]  # type: ignore[name-defined]

    root = Node(children=[Node(), Node(children=[Node()])])
    leaf = root.children[1].children[0]
    assert str(heap.why(leaf)) == "a handle\n  Node.children[1]\n  Node.children[0]\n  Node"
    heap.freeze()
    del root
    path = heap.why(leaf)
    assert path is not None
    assert path.root == "freeze()"


@pytest.mark.parametrize("seed", range(10))
def test_paths_are_as_short_as_the_models(seed: int) -> None:
    random = Random(seed)
    edges = random_edges(random, 200, 2)
    g = graph_classes()
    vertices = linked(g, edges)
    root = vertices[0]
    weak = [g.heap.weakref(one) for one in vertices]
    del vertices
    g.heap.collect()
    model = breadth_first(edges, [0], set(edges))
    for one, reference in enumerate(weak):
        vertex = reference()
        assert (vertex is not None) == (one in model)
        if vertex is None or one == 0:
            continue
        path = g.heap.why(vertex)
        assert path is not None
        assert path.steps[0].record == root
        vertices_on_path = sum(isinstance(step.record, g.Vertex) for step in path.steps)
        assert vertices_on_path == model[one] + 1
        for step, after in zip(path.steps, path.steps[1:], strict=False):
            assert getattr(step.record, step.field) == after.record
        del path, step, after


def test_a_long_path_is_shown_in_part() -> None:
    g = graph_classes()
    edges = g.Edge.batch(100_000)
    edges[:-1].next = edges[1:]
    first, last = edges[0], edges[-1]
    del edges
    path = g.heap.why(last)
    assert path is not None
    assert path.steps[0].record == first
    assert len(path.steps) == 100_000
    assert str(path).splitlines()[11] == "  ... 99980 more"
    assert len(str(path).splitlines()) == 22


def test_the_histogram_counts_what_lives() -> None:
    g = graph_classes()
    kept = [g.Vertex(id=i, name=b"x" * i) for i in range(100)]
    kept[0].edges = g.Edge(to=g.Place(id=1))
    for _ in range(50):
        g.Vertex(id=1)
    histogram = g.heap.histogram()
    rows = {row.name: row for row in histogram.rows}
    assert {name: row.records for name, row in rows.items()} == {
        "Vertex": 100,
        "Edge": 1,
        "Place": 1,
        "bytes, text, numbers": 100,
    }
    assert rows["Vertex"].bytes == 100 * 32
    assert rows["Vertex"].record_class is g.Vertex
    assert rows["bytes, text, numbers"].bytes >= sum(range(100)) + 800
    assert "100" in str(histogram)
    retained = {row.name: row for row in g.heap.histogram(retained=True).rows}
    assert {name: (row.records, row.bytes) for name, row in retained.items()} == {
        name: (row.records, row.bytes) for name, row in rows.items()
    }
    # The vertices lead to everything.
    assert retained["Vertex"].retained_bytes == sum(row.bytes for row in rows.values())


@pytest.mark.parametrize("seed", range(25))
def test_retained_bytes_are_those_that_go_with_a_record(seed: int) -> None:
    random = Random(seed)
    # A sample's weak reference would take a page for good.
    g = binary_nodes(checked=True, sample_bytes=0)
    before = g.heap.stats().batch_bytes
    count = random.randrange(1, 60)
    nodes = [(g.Wide if random.random() < 0.3 else g.Node)(id=i) for i in range(count)]
    edges: Edges = {i: [] for i in range(count)}
    for one, node in enumerate(nodes):
        for field in ("left", "right"):
            # Mostly near by, so that there are dominators.
            to = min(count - 1, max(0, one + random.randrange(-2, 6)))
            if random.random() < 0.7:
                setattr(node, field, nodes[to])
                edges[one].append(to)
    size = {i: slot_bytes(g.heap, type(node)) for i, node in enumerate(nodes)}
    wide = {i for i, node in enumerate(nodes) if isinstance(node, g.Wide)}
    roots = sorted({0, random.randrange(count)})
    kept = [nodes[one] for one in roots]
    del nodes, node
    histogram = g.heap.histogram(retained=True)
    reachable = breadth_first(edges, roots, set(edges))
    expected = {
        "Node": retained_by_removal(edges, roots, size, set(edges) - wide),
        "Wide": retained_by_removal(edges, roots, size, wide),
    }
    for row in histogram.rows:
        # Records of a class may together dominate what none of them does alone.
        assert row.retained_bytes is not None
        assert row.bytes <= row.retained_bytes <= expected[row.name]
    alone = sorted(
        (retained_by_removal(edges, roots, size, {one}) for one in reachable), reverse=True
    )
    assert [kept_bytes for _, kept_bytes in histogram.largest] == alone[:10]
    for record, kept_bytes in histogram.largest:
        assert kept_bytes == retained_by_removal(edges, roots, size, {record.id})
    assert sum(row.bytes for row in histogram.rows) == sum(size[one] for one in reachable)
    del kept, histogram, record
    g.heap.collect()
    g.heap.verify()
    assert g.heap.stats().batch_bytes == before


def test_a_list_whose_nodes_name_their_owner_takes_no_square() -> None:
    g = binary_nodes()
    nodes = g.Node.batch(200_000)
    nodes[:-1].left = nodes[1:]
    nodes.right = nodes[0]
    first = nodes[0]
    del nodes
    seen: list[int] = []
    histogram = g.heap.histogram(retained=True, progress=seen.append)
    size = 200_000 * slot_bytes(g.heap, g.Node)
    assert histogram.largest[0] == (first, size)
    assert histogram.rows[0].retained_bytes == size
    assert seen == sorted(seen)
    assert max(seen, default=0) <= 100


def test_questions_beside_threads_that_change_the_graph() -> None:
    g = graph_classes(gc_percent=20, procs=2)
    ring = linked(g, {one: [(one + 1) % 300] for one in range(300)})
    held = ring[0]
    del ring
    done = threading.Event()

    def change() -> None:
        at = held
        while not done.is_set():
            old = at.edges.to
            if old != held:
                at.edges = g.Edge(to=g.Vertex(id=old.id, edges=old.edges))
            at = at.edges.to

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(30):
            assert {row.name for row in g.heap.histogram(retained=True).rows} >= {"Vertex", "Edge"}
            assert {row.name for row in g.heap.histogram().rows} >= {"Vertex", "Edge"}
            assert g.heap.why(held.edges.to) is not None
    finally:
        done.set()
        thread.join()
    g.heap.collect()
    g.heap.verify()
