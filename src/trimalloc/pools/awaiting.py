"""A pool for asyncio: tasks wait for a block without holding up the event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from threading import Lock
from typing import TYPE_CHECKING

from trimalloc import _pools

if TYPE_CHECKING:
    from trimalloc.pools.pool import Pool

_Waiter = tuple[asyncio.AbstractEventLoop, "asyncio.Future[None]"]


def _tell(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class AwaitingPool:
    """Takes blocks in coroutines, of one event loop or several.

    Who waits first is told first. A task that is told and finds the block gone, because a thread
    was faster, waits on; one that is cancelled passes the word on.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._lock = Lock()
        self._waiters: deque[_Waiter] = deque()

    async def take(self, *, timeout: float | None = None) -> _pools.PoolBlock:
        """Return a block; at the limit wait for `timeout` seconds, None: for ever.

        Raises PoolExhaustedError when that is over.
        """
        block = self._pool._take_now()
        if block is not None:
            return block
        try:
            return await asyncio.wait_for(self._wait(), timeout)
        except asyncio.TimeoutError:
            return self._pool.take(timeout=0)  # the last chance, or the error that says how it is

    async def _wait(self) -> _pools.PoolBlock:
        loop = asyncio.get_running_loop()
        while True:
            waiter = (loop, loop.create_future())
            self._enter(waiter)
            try:
                # What came back before the waiter was there told nobody.
                block = self._pool._take_now()
                if block is None:
                    await waiter[1]
            except asyncio.CancelledError:
                if not self._leave(waiter):
                    self._tell_first()  # it was told, and goes without
                raise
            self._leave(waiter)
            block = block or self._pool._take_now()
            if block is not None:
                return block

    def _enter(self, waiter: _Waiter) -> None:
        with self._lock:
            self._waiters.append(waiter)
            if len(self._waiters) == 1:
                self._pool._set_listener(self._tell_first)

    def _leave(self, waiter: _Waiter) -> bool:
        """Take the waiter out; return whether it was still there: nobody had told it."""
        with self._lock:
            there = waiter in self._waiters
            if there:
                self._waiters.remove(waiter)
            if not self._waiters:
                self._pool._set_listener(None)
        return there

    def _tell_first(self) -> None:
        """After a block came back, in whichever thread that was."""
        with self._lock:
            told = self._waiters.popleft() if self._waiters else None
        if told is not None:
            loop, future = told
            loop.call_soon_threadsafe(_tell, future)
