"""Pool: equal blocks from big chunks, grown when short, idle chunks given back."""

from __future__ import annotations

from typing import Any

from trimalloc import _pools
from trimalloc.optional_numpy import numpy_needed
from trimalloc.pools.awaiting import AwaitingPool
from trimalloc.pools.pool_stats import PoolStats
from trimalloc.sizes import format_size, parse_size

_ON_GIVE = {None: 0, "clear": 1, "poison": 2}


def _bytes(given: int | str) -> int:
    return parse_size(given) if isinstance(given, str) else given


def _elements(shape: int | tuple[int, ...]) -> int:
    count = 1
    for one in (shape,) if isinstance(shape, int) else shape:
        count *= one
    return count


class Pool(_pools.Pool):
    """Blocks of one size, cut from chunks, reused.

    ::

        pool = trimalloc.Pool("64KiB", limit="256MiB")
        with pool.take() as block:
            count = socket.recv_into(block)
            parse(memoryview(block)[:count])

    A block that comes back is the next to be taken, so its memory is warm; nothing is cleared
    unless asked. Chunks without a block in use go back once they were idle for a moment. Any thread
    may take and give.

    Args:
        block_size: bytes, or text such as ``"64KiB"``; not with `dtype`.
        chunk: how much is taken at a time; a multiple of the block fits best.
        limit: the most bytes in chunks; None: as much as there is. At the limit `take` waits
            for `timeout` and raises PoolExhaustedError then.
        align: addresses of blocks are multiples of it, a power of two.
        timeout: seconds that `take` waits at the limit; 0: not at all; None: for ever.
        on_give: "clear" or "poison" (0xDD) the bytes of each block that comes back; None: neither.
        dtype, shape: what ``block.array`` is; they say the block's size.

    Raises ValueError for sizes that make no pool, MemoryError when there is none for its books.
    """

    __slots__ = ("_awaiting", "_dtype", "_shape")

    _dtype: Any
    _shape: int | tuple[int, ...]
    _awaiting: AwaitingPool | None

    def __new__(
        cls,
        block_size: int | str | None = None,
        *,
        chunk: int | str = "1MiB",
        limit: int | str | None = None,
        align: int = 64,
        timeout: float | None = 0,
        on_give: str | None = None,
        dtype: Any = None,
        shape: int | tuple[int, ...] = (),
    ) -> Pool:
        """Make an empty pool: the first chunk comes with the first block."""
        if (block_size is None) == (dtype is None):
            raise ValueError("a pool has a block_size, or a dtype and a shape that say it")
        if dtype is not None:
            dtype = numpy_needed("a pool with a dtype").dtype(dtype)
            if dtype.hasobject:
                raise ValueError("blocks are plain bytes: a dtype with Python objects has no place")
            size = int(dtype.itemsize) * _elements(shape)
        else:
            assert block_size is not None
            size = _bytes(block_size)
        if on_give not in _ON_GIVE:
            raise ValueError(f'on_give is None, "clear" or "poison", not {on_give!r}')
        if timeout is not None and timeout < 0:
            raise ValueError(f"timeout is seconds from 0, or None to wait for ever, not {timeout}")
        limit_bytes = 0 if limit is None else _bytes(limit)
        if size < 1 or _bytes(chunk) < 1:
            raise ValueError("a block and a chunk have at least one byte")
        if limit is not None and limit_bytes < size:
            raise ValueError(
                f"a limit of {format_size(limit_bytes)} has no room for a block of "
                f"{format_size(size)}: raise it"
            )
        chunk_bytes = min(_bytes(chunk), limit_bytes) if limit_bytes else _bytes(chunk)
        self: Pool = super().__new__(
            cls,
            block_bytes=size,
            chunk_bytes=max(chunk_bytes, size),
            limit_bytes=limit_bytes,
            alignment=align,
            timeout=-1.0 if timeout is None else timeout,
            on_give=_ON_GIVE[on_give],
        )
        self._dtype = dtype
        self._shape = shape
        self._awaiting = None
        return self

    def stats(self) -> PoolStats:
        """Return where the blocks are."""
        return PoolStats(**self._counters())

    @property
    def aio(self) -> AwaitingPool:
        """The same pool for asyncio: ``block = await pool.aio.take()``."""
        if self._awaiting is None:
            self._awaiting = AwaitingPool(self)
        return self._awaiting

    def _array_over(self, block: _pools.PoolBlock) -> Any:
        numpy = numpy_needed("block.array")
        if self._dtype is None:
            return numpy.frombuffer(block, numpy.uint8)
        return numpy.frombuffer(block, self._dtype).reshape(self._shape)

    def __enter__(self) -> Pool:
        """Return the pool; leaving closes it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def __repr__(self) -> str:
        """Say what it holds."""
        stats = self.stats()
        return (
            f"<Pool of {format_size(self.block_size)} blocks: {stats.taken} taken, "
            f"{stats.free} free, {format_size(stats.bytes)} in chunks>"
        )
