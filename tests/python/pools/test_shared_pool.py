"""Pools in shared memory: several processes, and what happens when one of them dies."""

from __future__ import annotations

import gc
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import trimalloc

FORK = multiprocessing.get_context("fork")


def file_of(pool: trimalloc.SharedPool) -> Path:
    return Path("/dev/shm") / f"trimalloc-pool-{pool.name}"


def in_child(work: Callable[[], object]) -> int:
    """The status of a forked child that does `work` and ends without any clean-up."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1]


def test_blocks_are_shared() -> None:
    pool = trimalloc.SharedPool(4096, 4)
    block = pool.take()
    view = memoryview(block)
    view[:5] = b"hello"

    def child() -> None:
        assert bytes(view[:5]) == b"hello"
        view[:5] = b"there"

    assert in_child(child) == 0
    assert bytes(view[:5]) == b"there"
    assert pool.stats().taken == 1
    assert pool.owners().count(os.getpid()) == 1


@pytest.mark.parametrize("align", [1, 64, 4096])
@pytest.mark.parametrize("size", [1, 100, 5000])
def test_every_block_is_its_own(size: int, align: int) -> None:
    pool = trimalloc.SharedPool(size, 50, align=align)
    blocks = [pool.take() for _ in range(50)]
    for number, block in enumerate(blocks):
        assert block.address % align == 0
        memoryview(block)[:] = bytes([number]) * size
    assert all(bytes(block) == bytes([n]) * size for n, block in enumerate(blocks))
    with pytest.raises(trimalloc.PoolExhaustedError, match="all 50 blocks"):
        pool.take()
    blocks.pop().give()
    assert pool.take().pool is pool


def test_arrays_lie_in_blocks() -> None:
    pool = trimalloc.SharedPool("64KiB", 2)
    block = pool.take()
    array = np.frombuffer(block, np.float32)  # type: ignore[call-overload]
    array[:] = 1.5
    assert block.array.view(np.float32).sum() == 1.5 * 16384


def test_a_block_is_handed_to_another_process() -> None:
    pool = trimalloc.SharedPool(4096, 2)
    there: Any = FORK.Queue()
    back: Any = FORK.Queue()

    def work() -> None:
        block = pool.accept(there.get())
        memoryview(block)[:] = bytes(memoryview(block)).swapcase()
        back.put(pool.hand_over(block))
        back.get(timeout=60)  # until it was accepted: what an ended process has is taken back

    worker = FORK.Process(target=work)
    worker.start()
    block = pool.take()
    memoryview(block)[:] = b"ab" * 2048
    there.put(pool.hand_over(block))
    assert block.given
    again = pool.accept(back.get(timeout=60))
    back.put("accepted")
    worker.join()
    assert bytes(again) == b"AB" * 2048
    assert pool.stats().taken == 1


def test_a_spawned_process_gets_the_pool_by_name() -> None:
    pool = trimalloc.SharedPool(4096, 2, name=f"test-{os.getpid()}")
    program = f"""
import pickle, sys, trimalloc
pool = pickle.loads(bytes.fromhex("{pickle.dumps(pool).hex()}"))
block = pool.accept({pool.hand_over(pool.take())!r})
memoryview(block)[:2] = b"ok"
print(pool.hand_over(block))
sys.stdout.flush()
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        index, owner = process.stdout.readline().strip(" ()\n").split(",")
        block = pool.accept((int(index), int(owner)))
    assert process.returncode == 0
    assert bytes(memoryview(block)[:2]) == b"ok"
    assert file_of(pool).exists()


def test_what_a_dead_process_had_is_free_again() -> None:
    pool = trimalloc.SharedPool(4096, 8)
    kept = [pool.take() for _ in range(2)]

    def take_and_die() -> None:
        taken = [pool.take() for _ in range(6)]
        assert len(taken) == 6
        os.kill(os.getpid(), signal.SIGKILL)

    assert os.WTERMSIG(in_child(take_and_die)) == signal.SIGKILL
    assert pool.stats().taken == 8
    others = [pool.take() for _ in range(6)]
    assert pool.stats().reclaimed == 6
    assert len({block.address for block in kept + others}) == 8


def test_a_zombie_is_dead() -> None:
    pool = trimalloc.SharedPool(4096, 1)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        block = pool.take()
        os.write(writing, b"x")
        os.kill(os.getpid(), signal.SIGKILL)
        del block
    os.read(reading, 1)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)  # it has ended, and is still there
    pool.take()
    os.waitpid(child, 0)
    os.close(reading)
    os.close(writing)


def test_the_living_keep_what_they_have() -> None:
    pool = trimalloc.SharedPool(4096, 1)
    ready: Any = FORK.Queue()
    done: Any = FORK.Queue()

    def hold() -> None:
        block = pool.take()
        ready.put(True)
        done.get(timeout=60)
        block.give()

    worker = FORK.Process(target=hold)
    worker.start()
    ready.get(timeout=60)
    assert pool.reclaim() == 0
    with pytest.raises(trimalloc.PoolExhaustedError, match="processes that live"):
        pool.take(timeout=0.1)
    done.put(True)
    assert pool.take(timeout=60).address
    worker.join()


def test_a_forked_childs_copies_are_its_parents() -> None:
    pool = trimalloc.SharedPool(4096, 2)
    block = pool.take()

    def child() -> None:
        nonlocal block
        block.give()  # of this process it never was: nothing comes of it
        del block
        gc.collect()
        assert pool.stats().taken == 1

    assert in_child(child) == 0
    memoryview(block)[0] = 1
    assert pool.stats().taken == 1


def test_a_token_is_good_once() -> None:
    pool = trimalloc.SharedPool(4096, 2)
    token = pool.hand_over(pool.take())
    block = pool.accept(token)
    block.give()
    with pytest.raises(ValueError, match="accepted already"):
        pool.accept(token)
    for wrong in ((99, token[1]), (-1, token[1]), (0, 0)):
        with pytest.raises(ValueError, match="hand over"):
            pool.accept(wrong)
    with pytest.raises(TypeError, match="hand_over"):
        pool.accept("token")  # type: ignore[arg-type]


def test_a_block_with_views_stays() -> None:
    pool = trimalloc.SharedPool(4096, 2)
    block = pool.take()
    view = memoryview(block)
    with pytest.raises(BufferError, match="views"):
        pool.hand_over(block)
    view.release()
    pool.hand_over(block)
    with pytest.raises(ValueError, match="given back"):
        pool.hand_over(block)
    with pytest.raises(ValueError, match="not one of this pool"):
        pool.hand_over(trimalloc.SharedPool(4096, 1).take())


def test_processes_that_are_killed_at_any_moment_harm_nobody() -> None:
    pool = trimalloc.SharedPool(256, 16)

    def churn() -> None:
        mine = os.getpid().to_bytes(4, "little") * 64
        while True:
            block = pool.take(timeout=60)
            view = memoryview(block)
            view[:] = mine
            for _ in range(3):
                if bytes(view) != mine:
                    os._exit(3)  # somebody else has it, too
            view.release()
            block.give()

    workers = []
    for round_ in range(40):
        workers.append(FORK.Process(target=churn))
        workers[-1].start()
        time.sleep(0.005)
        if round_ >= 4:
            victim = workers.pop(round_ % len(workers))
            victim.kill()
            victim.join()
            assert victim.exitcode == -signal.SIGKILL
    for worker in workers:
        worker.kill()
        worker.join()
        assert worker.exitcode == -signal.SIGKILL
    pool.reclaim()
    assert pool.stats().taken == 0
    assert len([pool.take() for _ in range(16)]) == 16


# --- names and files --------------------------------------------------------------------------


def test_the_name_goes_with_the_pool() -> None:
    pool = trimalloc.SharedPool(4096, 1)
    path = file_of(pool)
    assert path.exists()
    assert in_child(lambda: None) == 0
    assert path.exists()
    other = trimalloc.SharedPool.attach(pool.name)
    del pool
    assert not path.exists()
    assert other.take().address


def test_names_that_are_there_or_are_not() -> None:
    pool = trimalloc.SharedPool(4096, 1, name=f"names-{os.getpid()}")
    with pytest.raises(FileExistsError, match="attach to it"):
        trimalloc.SharedPool(4096, 1, name=pool.name)
    trimalloc.SharedPool.remove(pool.name)
    with pytest.raises(FileNotFoundError, match="no shared pool"):
        trimalloc.SharedPool.attach(pool.name)
    with pytest.raises(FileNotFoundError):
        trimalloc.SharedPool.remove(pool.name)
    for wrong in ("", "a/b", "x" * 300):
        with pytest.raises(ValueError, match="name"):
            trimalloc.SharedPool.attach(wrong)
    assert not list(Path("/dev/shm").glob(f"*{pool.name}*"))


@pytest.mark.parametrize("arguments", [(0, 1), (1, 0), (-4, 1), (4096, -1), (1 << 60, 1 << 60)])
def test_sizes_that_make_no_pool(arguments: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="at least one block"):
        trimalloc.SharedPool(*arguments)


def test_alignments_that_no_mapping_has() -> None:
    for wrong in (3, 8192):
        with pytest.raises(ValueError, match="align"):
            trimalloc.SharedPool(4096, 1, align=wrong)


def test_no_room_is_a_memory_error() -> None:
    with pytest.raises(MemoryError, match="has no room"):
        trimalloc.SharedPool("1GiB", 60_000)
    assert not list(Path("/dev/shm").glob("trimalloc-pool-*.*"))


def test_every_damage_to_the_header_is_an_error_or_harmless() -> None:
    pool = trimalloc.SharedPool(100, 3)
    good = file_of(pool).read_bytes()
    name = f"damaged-{os.getpid()}"
    path = file_of(pool).with_name(f"trimalloc-pool-{name}")
    try:
        for length in (0, 1, 8, 127, 128, 140, len(good) - 1):
            path.write_bytes(good[:length])
            with pytest.raises(ValueError, match=r"no shared pool|empty file"):
                trimalloc.SharedPool.attach(name)
        for at in range(48):
            for bit in range(8):
                bad = bytearray(good)
                bad[at] ^= 1 << bit
                path.write_bytes(bad)
                try:
                    damaged = trimalloc.SharedPool.attach(name)
                except ValueError:
                    continue
                blocks = []
                for _ in range(3):
                    try:
                        blocks.append(damaged.take())
                    except trimalloc.PoolExhaustedError:
                        break
                for block in blocks:
                    memoryview(block)[:] = bytes(len(block))
    finally:
        path.unlink(missing_ok=True)
