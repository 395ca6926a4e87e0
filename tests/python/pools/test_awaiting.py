"""Pools under asyncio: tasks wait for blocks that tasks and threads give back."""

from __future__ import annotations

import asyncio
import threading

import pytest

import trimalloc


def test_a_free_block_is_there_at_once() -> None:
    async def main() -> None:
        pool = trimalloc.Pool(4096)
        with await pool.aio.take() as block:
            assert len(block) == 4096
        assert pool.aio is pool.aio

    asyncio.run(main())


def test_a_task_waits_while_others_run() -> None:
    async def main() -> None:
        pool = trimalloc.Pool(4096, limit=4096)
        block = await pool.aio.take()
        asyncio.get_running_loop().call_later(0.02, block.give)
        assert (await pool.aio.take(timeout=60)).address

    asyncio.run(main())


def test_a_thread_gives_to_a_task() -> None:
    async def main() -> None:
        pool = trimalloc.Pool(4096, limit=4096)
        block = await pool.aio.take()
        threading.Timer(0.02, block.give).start()
        assert (await pool.aio.take()).address

    asyncio.run(main())


def test_the_wait_ends_with_the_error() -> None:
    async def main() -> None:
        pool = trimalloc.Pool(4096, limit=4096)
        _block = await pool.aio.take()
        with pytest.raises(trimalloc.PoolExhaustedError):
            await pool.aio.take(timeout=0.02)

    asyncio.run(main())


def test_who_waits_first_is_served_first() -> None:
    async def main() -> None:
        pool = trimalloc.Pool(4096, limit=4096)
        block = await pool.aio.take()
        order: list[int] = []

        async def use(number: int) -> None:
            with await pool.aio.take():
                order.append(number)
                await asyncio.sleep(0)

        tasks = [asyncio.create_task(use(number)) for number in range(10)]
        await asyncio.sleep(0.01)
        block.give()
        await asyncio.gather(*tasks)
        assert order == list(range(10))

    asyncio.run(main())


def test_a_cancelled_task_passes_the_word_on() -> None:
    async def main() -> None:
        pool = trimalloc.Pool(4096, limit=4096)
        block = await pool.aio.take()
        first = asyncio.create_task(pool.aio.take())
        second = asyncio.create_task(pool.aio.take())
        await asyncio.sleep(0.01)
        block.give()  # the first is told ...
        await asyncio.sleep(0)
        first.cancel()  # ... and never looks
        got = await asyncio.wait_for(second, 60)
        assert got.address
        assert first.cancelled() or first.result().address

    asyncio.run(main())


def test_hundreds_of_tasks_and_threads_share_a_few_blocks() -> None:
    async def main() -> None:
        pool = trimalloc.Pool(64, chunk=8192, limit=8192, timeout=60)
        blocks = pool.stats().chunk_blocks
        assert blocks <= 128
        running = True

        def thread() -> None:
            while running:
                with pool.take():
                    pass

        threads = [threading.Thread(target=thread) for _ in range(3)]
        for one in threads:
            one.start()

        async def use() -> None:
            for _ in range(20):
                with await pool.aio.take() as block:
                    memoryview(block)[0] = 1
                    await asyncio.sleep(0)

        await asyncio.gather(*(use() for _ in range(300)))
        running = False
        for one in threads:
            one.join()
        assert pool.stats().taken == 0

    asyncio.run(main())
