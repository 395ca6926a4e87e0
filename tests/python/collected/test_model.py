"""The heap against a graph of plain Python objects, step by step."""

from __future__ import annotations

import threading
from random import Random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import trimalloc

from .shapes import graph_classes


class Plain:
    """What a Vertex of the heap is compared with."""

    def __init__(self, identity: int) -> None:
        self.id = identity
        self.name: bytes | None = None
        self.edges: list[Plain] = []


class GraphModel(RuleBasedStateMachine):
    """Vertices with lists of edges, held by a few handles."""

    @initialize(always=st.booleans())
    def start(self, always: bool) -> None:
        self.g = graph_classes(checked=True)
        self.g.heap._collect_always(always)
        self.held: list[tuple[Plain, object]] = []
        self.weak: list[tuple[Plain, trimalloc.WeakReference[object]]] = []
        self.reclaimed: list[int] = []
        self.g.heap.on_reclaim(self.g.Vertex, lambda gone: self.reclaimed.append(gone.id))
        self.made = 0

    def _any(self, data: st.DataObject, pairs: list[tuple[Plain, object]]) -> tuple[Plain, object]:
        # By number: what is drawn is remembered, and would keep its record alive.
        return pairs[data.draw(st.integers(0, len(pairs) - 1))]

    @rule(name=st.none() | st.binary(max_size=40))
    def make(self, name: bytes | None) -> None:
        self.made += 1
        plain = Plain(self.made)
        plain.name = name
        self.held.append((plain, self.g.Vertex(id=self.made, name=name)))

    @rule(data=st.data())
    def link(self, data: st.DataObject) -> None:
        if not self.held:
            return
        plain, vertex = self._any(data, self.held)
        to_plain, to_vertex = self._any(data, self.held)
        plain.edges.insert(0, to_plain)
        vertex.edges = self.g.Edge(to=to_vertex, next=vertex.edges)  # type: ignore[attr-defined]

    @rule(data=st.data())
    def unlink(self, data: st.DataObject) -> None:
        linked = [pair for pair in self.held if pair[0].edges]
        if linked:
            plain, vertex = self._any(data, linked)
            plain.edges.pop(0)
            vertex.edges = vertex.edges.next  # type: ignore[attr-defined]

    @rule(data=st.data())
    def rename(self, data: st.DataObject) -> None:
        if self.held:
            plain, vertex = self._any(data, self.held)
            plain.name = data.draw(st.none() | st.binary(max_size=300))
            vertex.name = plain.name  # type: ignore[attr-defined]

    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        if self.held:
            self.held.remove(self._any(data, self.held))

    @rule(data=st.data())
    def watch(self, data: st.DataObject) -> None:
        if self.held:
            plain, vertex = self._any(data, self.held)
            self.weak.append((plain, self.g.heap.weakref(vertex)))

    @rule(data=st.data(), stop=st.booleans())
    def get_back(self, data: st.DataObject, stop: bool) -> None:
        if self.weak:
            at = data.draw(st.integers(0, len(self.weak) - 1))
            plain, weak = self.weak.pop(at) if stop else self.weak[at]
            vertex = weak()
            if vertex is not None:
                self.held.append((plain, vertex))

    @rule()
    def collect(self) -> None:
        self.g.heap.collect()
        vertices, edges = self._reachable()
        for plain, weak in self.weak:
            vertex = weak()
            assert (vertex.id if plain in vertices else vertex) == (  # type: ignore[attr-defined]
                plain.id if plain in vertices else None
            )
        left = {plain.id for plain in vertices}
        assert sorted(self.reclaimed) == [i for i in range(1, self.made + 1) if i not in left]
        names = sum(1 for plain in vertices if plain.name is not None)
        live = sum(
            int(mask.count(1))
            for kind in (self.g.Vertex, self.g.Edge)
            for mask in (block.live_mask() for block in self.g.heap._scan(kind, False))
        )
        assert live == len(vertices) + edges
        assert names <= len(vertices)

    def _reachable(self) -> tuple[set[Plain], int]:
        seen: set[Plain] = set()
        queue = [plain for plain, _ in self.held]
        while queue:
            plain = queue.pop()
            if plain not in seen:
                seen.add(plain)
                queue.extend(plain.edges)
        return seen, sum(len(plain.edges) for plain in seen)

    @invariant()
    def the_graphs_are_equal(self) -> None:
        if not hasattr(self, "g"):
            return
        self.g.heap.verify()
        seen: set[int] = set()
        queue = list(self.held)
        while queue:
            plain, vertex = queue.pop()
            if plain.id in seen:
                continue
            seen.add(plain.id)
            assert (vertex.id, vertex.name) == (plain.id, plain.name)  # type: ignore[attr-defined]
            edge = vertex.edges  # type: ignore[attr-defined]
            for to in plain.edges:
                queue.append((to, edge.to))
                edge = edge.next
            assert edge is None


GraphModel.TestCase.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
TestGraphModel = GraphModel.TestCase


@pytest.mark.parametrize("markers", [1, 4])
@pytest.mark.parametrize("procs", [1, 2])
def test_threads_change_graphs_while_others_are_collected(procs: int, markers: int) -> None:
    g = graph_classes(gc_percent=20, procs=procs, markers=markers)
    failures: list[object] = []

    def work(seed: int) -> None:
        random = Random(seed)
        ring = [g.Vertex(id=i, name=b"%d" % i) for i in range(50)]
        for at, vertex in enumerate(ring):
            vertex.edges = g.Edge(to=ring[at - 1])
        top = ring[0]
        del ring, vertex
        for _ in range(2000):
            at = top
            for _ in range(random.randrange(50)):
                at = at.edges.to
            fresh = g.Vertex(id=at.id, name=b"%d" % at.id, edges=at.edges)
            before = at
            for _ in range(49):
                before = before.edges.to
            before.edges = g.Edge(to=fresh)
            top = fresh
        seen = []
        at = top
        for _ in range(50):
            seen.append((at.id, at.name))
            at = at.edges.to
        if sorted(seen) != [(i, b"%d" % i) for i in range(50)]:
            failures.append(seen)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    g.heap.collect()
    g.heap.verify()
    assert g.heap.stats().heap_bytes == 0
