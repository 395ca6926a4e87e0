"""examples/records/reachable.cc: C++ walks a graph that Python has made."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import pytest
from support.library import CHECKOUT
from support.programs import Programs

import trimalloc

SOURCE = CHECKOUT / "examples" / "records" / "reachable.cc"


@pytest.fixture
def reachable(programs: Programs) -> Any:
    library = Path(trimalloc.heap_library_path())
    flags = ["-shared", "-fPIC", str(library), f"-Wl,-rpath,{library.parent}"]
    function = ctypes.CDLL(str(programs.build(SOURCE, flags))).sum_of_reachable
    function.restype = ctypes.c_double
    function.argtypes = (ctypes.c_size_t, ctypes.c_uint32, ctypes.c_uint32)
    return function


def test_it_adds_what_a_vertex_leads_to(reachable: Any) -> None:
    heap = trimalloc.Heap()

    @heap.record
    class Vertex:
        left: Vertex | None
        right: Vertex | None
        score: trimalloc.float64

    layout = heap.c_layout(Vertex)
    assert layout.declaration in SOURCE.read_text(encoding="utf-8")
    shared = Vertex(score=0.25)
    top = Vertex(score=1.0, left=Vertex(score=0.5, left=shared), right=shared)
    shared.left = top
    Vertex(score=100.0)
    assert reachable(heap.address, layout.type, heap.to_reference(top)) == 1.75
    assert reachable(0, layout.type, heap.to_reference(top)) == -1
    assert reachable(heap.address, layout.type, 4_000_000_000) == -1
    assert reachable(heap.address, layout.type + 1, heap.to_reference(top)) == -1
