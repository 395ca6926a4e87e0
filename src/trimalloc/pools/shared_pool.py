"""SharedPool: blocks in shared memory that several processes take from and give to."""

from __future__ import annotations

import errno
import mmap
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import finalize

from trimalloc import _pools
from trimalloc.optional_numpy import numpy_needed
from trimalloc.sizes import format_size, parse_size

_FOLDER = Path("/dev/shm")
_PREFIX = "trimalloc-pool-"


@dataclass(frozen=True)
class SharedPoolStats:
    """Where the blocks of a shared pool are."""

    blocks: int
    taken: int
    """By all processes; what ended processes had is counted until somebody looks."""
    reclaimed: int
    """Taken back from processes that ended, since the start."""


def _path(name: str) -> Path:
    if not name or "/" in name or len(name) > 200:
        raise ValueError(f"a pool's name is a few words without a slash, not {name!r}")
    return _FOLDER / (_PREFIX + name)


def _create(path: Path, block: int, align: int, count: int) -> None:
    """Make the file under another name first: whoever sees the name finds a whole pool."""
    bytes_needed = _pools.SharedPool._bytes_for(block, align, count)
    if bytes_needed == 0:
        raise ValueError(
            "a shared pool has at least one block of at least one byte, align is a power of two, "
            "and all of it is at most 64 TiB"
        )
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    file = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        try:
            # All of it now: where it is missing later, a write would end the process (SIGBUS).
            os.posix_fallocate(file, 0, bytes_needed)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise MemoryError(
                f"{_FOLDER} has no room for {format_size(bytes_needed)}: make the pool smaller, "
                "or the file system larger"
            ) from None
        with mmap.mmap(file, bytes_needed) as mapping:
            _pools.SharedPool._format(mapping, block, align, count)
        os.link(draft, path)
    except FileExistsError:
        raise FileExistsError(
            errno.EEXIST, "there is a pool of this name: attach to it, or remove it", str(path)
        ) from None
    finally:
        os.close(file)
        draft.unlink()


def _unlink(path: Path, creator: int) -> None:
    if os.getpid() == creator:
        path.unlink(missing_ok=True)


class SharedPool(_pools.SharedPool):
    """Blocks of one size in shared memory; any process that knows the name takes and gives.

    ::

        pool = trimalloc.SharedPool("1MiB", 64)          # in one process
        worker = multiprocessing.Process(target=work, args=(pool, queue))

        def work(pool, queue):                           # in another: the pool came by its name
            block = pool.accept(queue.get())             # what hand_over() put there
            ...
            block.give()

    There is no lock, so a process that is killed holds up nobody; what it had is free again when
    somebody finds the pool empty, or calls `reclaim`. Processes must see each other's ids (one PID
    namespace).

    Args:
        block_size: bytes, or text such as ``"64KiB"``.
        count: how many blocks; the memory is there from the start, and stays.
        align: addresses of blocks are multiples of it, a power of two up to a page of 4 KiB (the
            mapping begins on a page).
        name: for `attach`; a random one without.

    The memory's name goes when the pool that made it does, at the latest at the end of its process;
    processes that have it mapped keep it. A creator that is killed leaves it: `remove`.

    Raises ValueError for sizes that make no pool, FileExistsError for a name that is taken,
    MemoryError where /dev/shm has no room.
    """

    __slots__ = ("__weakref__", "_name", "_remove")

    _name: str
    _remove: finalize[[Path, int], SharedPool] | None

    def __new__(
        cls, block_size: int | str, count: int, *, align: int = 64, name: str | None = None
    ) -> SharedPool:
        """Make a pool of free blocks."""
        block = parse_size(block_size) if isinstance(block_size, str) else block_size
        name = secrets.token_hex(8) if name is None else name
        path = _path(name)
        if align > mmap.PAGESIZE:
            raise ValueError(f"a shared mapping begins on a page: align is at most {mmap.PAGESIZE}")
        _create(path, block, align, count)
        try:
            self = cls.attach(name)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        self._remove = finalize(self, _unlink, path, os.getpid())
        return self

    @classmethod
    def attach(cls, name: str) -> SharedPool:
        """Return the pool of this name, which another process made.

        Raises FileNotFoundError when there is none, ValueError when it is no pool or damaged.
        """
        path = _path(name)
        try:
            file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            raise FileNotFoundError(
                errno.ENOENT, "no shared pool of this name: was it removed?", str(path)
            ) from None
        try:
            mapping = mmap.mmap(file, 0)
        finally:
            os.close(file)
        self: SharedPool = super().__new__(cls, mapping)
        self._name = name
        self._remove = None
        return self

    @staticmethod
    def remove(name: str) -> None:
        """Take a pool's name away; those who have it keep it. FileNotFoundError without one."""
        _path(name).unlink()

    @property
    def name(self) -> str:
        """What other processes `attach` by."""
        return self._name

    def stats(self) -> SharedPoolStats:
        """Return how many blocks are taken."""
        return SharedPoolStats(**self._counters())

    def _array_over(self, block: _pools.PoolBlock) -> Any:
        numpy = numpy_needed("block.array")
        return numpy.frombuffer(block, numpy.uint8)

    def __reduce__(self) -> tuple[Any, ...]:
        """Go to other processes by name."""
        return SharedPool.attach, (self._name,)

    def __repr__(self) -> str:
        """Say what it holds."""
        stats = self.stats()
        return (
            f"<SharedPool {self._name!r}: {stats.taken} of {stats.blocks} blocks of "
            f"{format_size(self.block_size)} taken>"
        )
