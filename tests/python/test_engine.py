"""Which engine serves: the preloaded one, or the package's own."""

from __future__ import annotations

import sys

import pytest

import trimalloc
from python.commands import run_python
from trimalloc import _native

STATE = "import trimalloc; print(trimalloc.is_active(), trimalloc.mode())"


def test_without_preload_the_package_has_an_engine_of_its_own() -> None:
    assert not trimalloc.is_active()
    assert trimalloc.mode() == "library"
    trimalloc.verify()
    assert trimalloc.release() >= 0


@pytest.mark.skipif("t" in sys.abiflags, reason="objects stay with CPython's own allocator")
@pytest.mark.parametrize("mode", ["full", "arena", "malloc"])
def test_under_preload_the_mode_is_the_one_that_was_asked_for(mode: str) -> None:
    assert run_python(STATE, "--mode", mode) == f"True {mode}\n"


def test_under_preload_there_is_one_engine() -> None:
    # The address of a block from malloc lies in the engine that the extension talks to.
    output = run_python("""
        import ctypes
        from trimalloc import _native
        malloc = ctypes.CDLL(None).malloc
        malloc.restype = ctypes.c_void_p
        print(_native.owns(malloc(100)), _native.owns(malloc(10_000_000)), _native.owns(1))
        """)
    assert output == "True True False\n"


@pytest.mark.skipif("t" in sys.abiflags, reason="objects stay with CPython's own allocator")
@pytest.mark.parametrize("caches", ["thread", "cpu"])
def test_what_the_collector_follows_shares_its_cache_line_with_the_next_header(caches: str) -> None:
    # A list takes 56 bytes with its header of 16, so its place is that of a class of its own; a
    # buffer of the "mem" domain or of malloc is not moved.
    output = run_python(
        """
        import ctypes
        lists = [[] for _ in range(1000)]
        assert {id(one) % 64 for one in lists} == {0}, {id(one) % 64 for one in lists}
        for name in ("malloc", "PyMem_Malloc"):
            function = getattr(ctypes.pythonapi if name[0] == "P" else ctypes.CDLL(None), name)
            function.restype = ctypes.c_void_p
            assert {function(64) % 64 for _ in range(1000)} == {0}
        import trimalloc
        trimalloc.verify()
        print("so they lie")
        """,
        "--caches",
        caches,
    )
    assert output == "so they lie\n"


def test_released_memory_is_reported() -> None:
    output = run_python("""
        import trimalloc
        trimalloc.config(release_delay_ms=60000)
        kept = [bytearray(b"x") * 100_000 for _ in range(200)]
        del kept
        before = trimalloc.stats().page_heap_resident
        given_back = trimalloc.release()
        after = trimalloc.stats()
        assert given_back > 10_000_000, given_back
        assert after.page_heap_resident < before
        trimalloc.verify()
        print("given back")
        """)
    assert output == "given back\n"


@pytest.mark.parametrize("address", ["a", 1.5, None])
def test_an_address_is_an_integer(address: object) -> None:
    with pytest.raises(TypeError):
        _native.owns(address)  # type: ignore[arg-type]
