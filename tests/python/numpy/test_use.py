"""NumPy's arrays on our heap: where they are, how long, and what stays as it was."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import trimalloc
import trimalloc.numpy
from trimalloc import _native

try:
    from numpy._core.multiarray import get_handler_name
except ImportError:  # before NumPy 2
    from numpy.core.multiarray import get_handler_name


def is_ours(array: np.ndarray) -> bool:
    return _native.owns(array.ctypes.data)


def test_arrays_of_the_scope_are_ours() -> None:
    outside = np.ones(1000)
    with trimalloc.numpy.use():
        inside = np.ones(1000)
    after = np.ones(1000)
    assert [is_ours(one) for one in (outside, inside, after)] == [False, True, False]
    assert get_handler_name(inside) == "trimalloc_huge_pages"
    assert get_handler_name(after) == "default_allocator"


def test_without_a_scope_it_lasts_until_restored() -> None:
    using = trimalloc.numpy.use(huge_pages=False)
    try:
        array = np.arange(10)
        assert get_handler_name(array) == "trimalloc"
    finally:
        using.restore()
    assert not is_ours(np.arange(10))
    using.restore()  # a second time is nothing
    assert not is_ours(np.arange(10))


def test_scopes_nest() -> None:
    with trimalloc.numpy.use():
        with trimalloc.numpy.use(huge_pages=False):
            assert get_handler_name(np.ones(5)) == "trimalloc"
        assert get_handler_name(np.ones(5)) == "trimalloc_huge_pages"


def test_an_array_outlives_its_scope() -> None:
    before = trimalloc.stats().large_objects
    with trimalloc.numpy.use():
        array = np.full(1 << 20, 7.0)
    gc.collect()
    assert array.sum() == 7 << 20
    assert trimalloc.stats().large_objects == before + 1
    array = np.resize(array, 3)
    gc.collect()
    assert trimalloc.stats().large_objects == before


@pytest.mark.parametrize("bytes_", [1, 48, 80, 1000, 5000, 40_000, 300_000, 5 << 20])
def test_data_is_aligned(bytes_: int) -> None:
    with trimalloc.numpy.use():
        arrays = [np.empty(bytes_, np.uint8) for _ in range(20)]
        arrays += [np.zeros(bytes_, np.uint8) for _ in range(20)]
        assert all(one.ctypes.data % 64 == 0 for one in arrays)
        assert all(is_ours(one) for one in arrays)


def test_zeros_are_zero_and_lazy() -> None:
    with trimalloc.numpy.use():
        for bytes_ in (1, 100, 5000, 40_000, 1 << 20):
            dirty = np.full(bytes_, 255, np.uint8)
            del dirty
            assert not np.zeros(bytes_, np.uint8).any()
        before = resident()
        large = np.zeros(1 << 30, np.uint8)
        assert resident() - before < 1 << 20
        large[12345] = 1
        assert large[12340:12350].sum() == 1


def resident() -> int:
    with open("/proc/self/statm") as statm:  # noqa: PTH123
        return int(statm.read().split()[1]) * 4096


@given(st.lists(st.integers(0, 200_000), min_size=1, max_size=8))
@settings(deadline=None, max_examples=60)
def test_resize_keeps_what_is_there(sizes: list[int]) -> None:
    with trimalloc.numpy.use():
        array = np.arange(100, dtype=np.uint8)
        kept = array.copy()
        for size in sizes:
            array.resize(size, refcheck=False)
            assert array.ctypes.data % 64 == 0
            kept = np.concatenate([kept[:size], np.zeros(max(0, size - len(kept)), np.uint8)])
            assert (array == kept).all()


def test_a_thread_begins_with_numpys_own() -> None:
    seen: list[bool] = []
    with trimalloc.numpy.use():
        thread = threading.Thread(target=lambda: seen.append(is_ours(np.ones(9))))
        thread.start()
        thread.join()
    assert seen == [bool(getattr(sys.flags, "thread_inherit_context", False))]


def test_a_task_has_its_parents_and_keeps_its_own() -> None:
    async def child() -> bool:
        ours = is_ours(np.ones(9))
        trimalloc.numpy.use(huge_pages=False)
        await asyncio.sleep(0)
        return ours

    async def main() -> None:
        with trimalloc.numpy.use():
            assert await asyncio.gather(child(), child()) == [True, True]
            assert get_handler_name(np.ones(9)) == "trimalloc_huge_pages"

    asyncio.run(main())


def test_tracemalloc_sees_the_arrays() -> None:
    tracemalloc.start()
    try:
        with trimalloc.numpy.use():
            before = tracemalloc.get_traced_memory()[0]
            array = np.ones(1 << 17)
            assert tracemalloc.get_traced_memory()[0] - before >= 1 << 20
            del array
            assert tracemalloc.get_traced_memory()[0] - before < 1 << 16
    finally:
        tracemalloc.stop()


def test_no_memory_is_a_memory_error() -> None:
    with trimalloc.numpy.use(), pytest.raises(MemoryError):
        np.empty(1 << 60, np.uint8)


def test_arrays_made_by_threads_are_freed_by_others() -> None:
    arrays: list[np.ndarray] = []

    def make() -> None:
        with trimalloc.numpy.use():
            arrays.extend(np.full(n * 37 % 9000 + 1, n % 251, np.uint8) for n in range(500))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all((one == one[0]).all() for one in arrays)
    arrays.clear()


def test_without_numpy_it_says_so() -> None:
    program = (
        "import sys; sys.modules['numpy'] = None; import trimalloc.numpy\n"
        "try: trimalloc.numpy.use()\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "pip install numpy" in done.stdout


@pytest.fixture(autouse=True)
def sound_engine() -> Iterator[None]:
    yield
    trimalloc.verify()
