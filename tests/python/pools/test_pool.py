"""Pools: blocks as buffers, what is an error, when chunks come and go."""

from __future__ import annotations

import gc
import io
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import trimalloc

KIB = 1024


def test_a_block_is_a_writable_buffer() -> None:
    pool = trimalloc.Pool(4096)
    block = pool.take()
    assert len(block) == 4096
    view = memoryview(block)
    assert not view.readonly
    assert view.nbytes == 4096
    view[:5] = b"hello"
    assert bytes(view[:5]) == b"hello"
    assert block.pool is pool


def test_sockets_and_files_read_into_blocks() -> None:
    pool = trimalloc.Pool("4KiB")
    ours, theirs = socket.socketpair()
    with ours, theirs, pool.take() as block:
        theirs.sendall(b"request")
        assert ours.recv_into(block) == 7  # type: ignore[arg-type]  # a buffer, says __buffer__
        assert bytes(memoryview(block)[:7]) == b"request"
        assert io.BytesIO(b"file").readinto(block) == 4  # type: ignore[arg-type]
        assert bytes(memoryview(block)[:7]) == b"fileest"


def test_the_last_block_given_is_the_next_taken() -> None:
    pool = trimalloc.Pool(4096)
    blocks = [pool.take() for _ in range(5)]
    address = blocks[2].address
    blocks[2].give()
    assert pool.take().address == address


def test_leaving_the_context_gives_back() -> None:
    pool = trimalloc.Pool(4096)
    with pool.take() as block:
        assert pool.stats().taken == 1
    assert block.given
    assert pool.stats().taken == 0
    with pool.take() as block:
        block.give()  # the end of the context has nothing to do then


def test_what_is_asked_of_a_given_block_is_an_error() -> None:
    pool = trimalloc.Pool(4096)
    block = pool.take()
    block.give()
    for use in (
        block.give,
        lambda: memoryview(block),
        lambda: block.address,
        lambda: block.array,
        block.__enter__,
    ):
        with pytest.raises(ValueError, match="given back"):
            use()
    assert "given back" in repr(block)
    assert pool.stats().taken == 0


def test_a_forgotten_block_comes_back() -> None:
    pool = trimalloc.Pool(4096)
    block = pool.take()
    assert pool.stats().taken == 1
    del block
    assert pool.stats().taken == 0


def test_a_view_keeps_the_memory_until_it_is_gone() -> None:
    pool = trimalloc.Pool(4096, limit=4096)
    with pool.take() as block:
        view = memoryview(block)
        array = np.frombuffer(view, np.uint8)
        view[0] = 7
    assert block.given
    assert pool.stats().taken == 1
    with pytest.raises(trimalloc.PoolExhaustedError):
        pool.take()
    assert array[0] == 7
    del view
    gc.collect()
    assert pool.stats().taken == 1, "the array is still there"
    del array
    assert pool.stats().taken == 0
    pool.take()


def test_a_block_outlives_the_name_of_its_pool() -> None:
    block = trimalloc.Pool(4096).take()
    gc.collect()
    memoryview(block)[:] = bytes(4096)
    block.give()


@pytest.mark.parametrize("align", [1, 64, 4096, 1 << 16])
def test_addresses_are_aligned(align: int) -> None:
    pool = trimalloc.Pool(100, align=align)
    assert all(pool.take().address % align == 0 for _ in range(100))


def test_chunks_go_when_they_are_idle() -> None:
    pool = trimalloc.Pool("64KiB")
    blocks = [pool.take() for _ in range(64)]
    assert pool.stats().chunks == 4
    for block in blocks:
        block.give()
    deadline = time.monotonic() + 10
    while pool.stats().chunks and time.monotonic() < deadline:
        time.sleep(0.02)
    assert pool.stats().chunks == 0
    assert pool.stats().chunks_returned == 4


def test_trim_gives_back_at_once() -> None:
    pool = trimalloc.Pool("64KiB", chunk="256KiB")
    kept = pool.take()
    others = [pool.take() for _ in range(15)]
    del others
    assert pool.trim() == 3 << 18
    assert pool.stats().chunks == 1
    assert not kept.given


# --- the limit --------------------------------------------------------------------------------


def test_at_the_limit_take_raises_and_says_what_to_do() -> None:
    pool = trimalloc.Pool("64KiB", limit="128KiB")
    blocks = [pool.take(), pool.take()]
    with pytest.raises(trimalloc.PoolExhaustedError, match=r"2 blocks of 65536 bytes.*timeout"):
        pool.take()
    assert issubclass(trimalloc.PoolExhaustedError, MemoryError)
    blocks.pop().give()
    pool.take()


def test_take_waits_for_a_block() -> None:
    pool = trimalloc.Pool(4096, limit=4096, timeout=None)
    block = pool.take()
    threading.Timer(0.05, block.give).start()
    assert pool.take().address


def test_a_wait_ends_in_time() -> None:
    pool = trimalloc.Pool(4096, limit=4096, timeout=30)
    _block = pool.take()
    begin = time.monotonic()
    with pytest.raises(trimalloc.PoolExhaustedError, match=r"after 0\.1"):
        pool.take(timeout=0.1)
    assert 0.09 <= time.monotonic() - begin < 10


def test_a_signal_interrupts_a_wait() -> None:
    import signal

    pool = trimalloc.Pool(4096, limit=4096)
    _block = pool.take()

    def stop(*_: object) -> None:
        raise InterruptedError("enough")

    before = signal.signal(signal.SIGALRM, stop)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(InterruptedError, match="enough"):
            pool.take(timeout=None)
    finally:
        signal.signal(signal.SIGALRM, before)


def test_a_closed_pool_gives_nothing_but_takes_back() -> None:
    with trimalloc.Pool(4096) as pool:
        block = pool.take()
    assert pool.closed
    with pytest.raises(ValueError, match="closed"):
        pool.take()
    memoryview(block)[0] = 1
    block.give()
    assert pool.trim() == 1 << 20
    assert pool.stats().chunks == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "block_size, or a dtype"),
        ({"block_size": 1, "dtype": "f4"}, "block_size, or a dtype"),
        ({"block_size": 0}, "at least one byte"),
        ({"block_size": -5}, "at least one byte"),
        ({"block_size": "a lot"}, "not a size"),
        ({"block_size": 4096, "align": 3}, "power of two"),
        ({"block_size": 4096, "align": -8}, "power of two"),
        ({"block_size": "2T"}, "1 TiB"),
        ({"block_size": 4096, "limit": 4095}, "no room for a block"),
        ({"block_size": 4096, "limit": 0}, "no room for a block"),
        ({"block_size": 4096, "timeout": -1}, "timeout"),
        ({"block_size": 4096, "on_give": "shred"}, "on_give"),
        ({"dtype": "O"}, "Python objects"),
    ],
)
def test_bad_arguments_are_clear_errors(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        trimalloc.Pool(**arguments)  # type: ignore[arg-type]


def test_bad_timeouts_of_take() -> None:
    pool = trimalloc.Pool(4096)
    for wrong in (-1, float("nan")):
        with pytest.raises(ValueError, match="timeout"):
            pool.take(timeout=wrong)
    with pytest.raises(TypeError):
        pool.take(5)  # type: ignore[misc]
    with pytest.raises(TypeError):
        pool.take(timeout="soon")  # type: ignore[arg-type]


# --- bytes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("on_give", "byte"), [("clear", 0), ("poison", 0xDD)])
def test_blocks_are_cleared_or_poisoned(on_give: str, byte: int) -> None:
    pool = trimalloc.Pool(4096, on_give=on_give)
    with pool.take() as block:
        memoryview(block)[:] = b"s" * 4096
        address = block.address
    again = pool.take()
    assert again.address == address
    assert bytes(again) == bytes([byte]) * 4096


def test_typed_pools_have_arrays() -> None:
    dtype = np.dtype([("id", "i8"), ("score", "f4")])
    pool = trimalloc.Pool(dtype=dtype, shape=(10, 2))
    assert pool.block_size == 12 * 20
    with pool.take() as block:
        array = block.array
        assert array.dtype == dtype
        assert array.shape == (10, 2)
        array["id"] = 5
        assert np.frombuffer(block, dtype)["id"].sum() == 100  # type: ignore[call-overload]
        del array


def test_blocks_speak_dlpack() -> None:
    pool = trimalloc.Pool(dtype="f4", shape=8)
    block = pool.take()
    block.array[:] = 2
    assert block.__dlpack_device__() == (1, 0)
    there = np.from_dlpack(block)
    assert there.sum() == 16
    block.give()
    assert pool.stats().taken == 1
    del there
    gc.collect()
    assert pool.stats().taken == 0


# --- threads, processes, models ---------------------------------------------------------------


def test_threads_never_share_a_block() -> None:
    pool = trimalloc.Pool(1024, chunk="16KiB", limit="32KiB", timeout=60)
    wrong: list[int] = []

    def work(number: int) -> None:
        for i in range(300):
            with pool.take() as block, memoryview(block) as view:
                mark = bytes([number, i % 256]) * 512
                view[:] = mark
                if i % 16 == 0:
                    time.sleep(0)
                if bytes(view) != mark:
                    wrong.append(number)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert pool.stats().taken == 0
    assert pool.stats().chunks <= 2


def test_the_preloaded_engine_has_the_chunks() -> None:
    program = """
import trimalloc
pool = trimalloc.Pool("64KiB", chunk="64MiB")
trimalloc.stats()
before = trimalloc.stats().large_in_use
block = pool.take()
after = trimalloc.stats().large_in_use
memoryview(block)[:] = bytes(65536)
assert trimalloc.is_active()
assert after - before > 60 << 20, (before, after)
block.give()
assert pool.trim() == 64 << 20
assert trimalloc.stats().large_in_use < before + (4 << 20)
trimalloc.verify()
"""
    command = [str(Path(sys.executable).with_name("trimalloc")), "run", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_a_forked_child_has_its_own() -> None:
    pool = trimalloc.Pool("64KiB")
    block = pool.take()
    memoryview(block)[:3] = b"abc"
    child = os.fork()
    if child == 0:
        status = 1
        try:
            ok = bytes(memoryview(block)[:3]) == b"abc"
            block.give()
            blocks = [pool.take() for _ in range(50)]
            del blocks
            status = 0 if ok and pool.stats().taken == 0 else 1
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert bytes(memoryview(block)[:3]) == b"abc"
    assert pool.stats().taken == 1


@given(st.lists(st.integers(0, 30), max_size=200), st.integers(1, 3), st.integers(1, 5000))
@settings(deadline=None, max_examples=60)
def test_a_pool_is_like_a_set_of_free_places(steps: list[int], chunks: int, size: int) -> None:
    """Random takes, gives and trims: the counts are those of a model, and nothing is lost."""
    chunk = max(size, 4096)
    pool = trimalloc.Pool(size, chunk=chunk, limit=chunks * (chunk + 8192))
    held: list[tuple[trimalloc.PoolBlock, bytes]] = []
    for step in steps:
        if step < 16:
            try:
                block = pool.take()
            except trimalloc.PoolExhaustedError:
                assert pool.stats().free == 0
                continue
            mark = os.urandom(min(size, 8))
            memoryview(block)[: len(mark)] = mark
            held.append((block, mark))
        elif step < 30 and held:
            block, mark = held.pop(step % len(held))
            assert bytes(memoryview(block)[: len(mark)]) == mark
            block.give()
        else:
            pool.trim()
        stats = pool.stats()
        assert stats.taken == len(held)
        assert stats.taken + stats.free == stats.chunks * stats.chunk_blocks
    assert len({block.address for block, _ in held}) == len(held)


@pytest.fixture(autouse=True)
def sound_engine() -> Iterator[None]:
    yield
    trimalloc.verify()
