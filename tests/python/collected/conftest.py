"""The tests of collected heaps run for both widths of references."""

from __future__ import annotations

import pytest

import trimalloc

# Tests that do not ask for a width, and for which it makes a difference.
_BOTH_WIDTHS = {
    "test_batch_runs",
    "test_batches",
    "test_damaged_files",
    "test_heap",
    "test_inspection",
    "test_limits",
    "test_maps",
    "test_model",
    "test_open_heap",
    "test_queues_and_lists",
    "test_records",
    "test_regions",
    "test_samples",
    "test_saved_containers",
    "test_saving",
    "test_sharing",
    "test_tracemalloc",
    "test_traversal",
    "test_tries",
    "test_weak_references",
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Have each test of those modules run twice."""
    if metafunc.module.__name__.rpartition(".")[2] in _BOTH_WIDTHS:
        metafunc.parametrize(
            "references", [32, pytest.param(64, marks=pytest.mark.wide)], indirect=True
        )


@pytest.fixture(autouse=True)
def references(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Bits of the references of heaps that do not say how many."""
    bits: int = getattr(request, "param", 32)
    monkeypatch.setitem(trimalloc.Heap.__new__.__kwdefaults__, "references", bits)
    return bits
