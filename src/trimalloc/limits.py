"""The memory limit."""

from __future__ import annotations

import errno

from trimalloc import _native
from trimalloc.sizes import format_size, parse_size


def set_memory_limit(hard: int | str | None, soft: int | str | None = None) -> None:
    """Limit the resident memory of the arena: bytes, or a text such as "512M"; None for no limit.

    Above ``soft`` (7/8 of ``hard`` when not given) free memory is released eagerly and the
    ``on_pressure`` callbacks run. Above ``hard`` an allocation fails: MemoryError in Python, NULL
    in C. The limit counts what trimalloc serves, not stacks, code or other libraries' own memory.
    """
    hard_bytes = _size_bytes(hard)
    soft_bytes = _size_bytes(soft)
    try:
        _native.set_limit(hard_bytes, soft_bytes)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise ValueError(
            f"the soft limit ({format_size(soft_bytes)}) is above the hard limit "
            f"({format_size(hard_bytes)}): pressure would come too late; give a lower soft limit"
        ) from None


def _size_bytes(size: int | str | None) -> int:
    if size is None:
        return 0
    if isinstance(size, str):
        return parse_size(size)
    if size < 0:
        raise ValueError(f"a limit cannot be negative: {size}; use None for no limit")
    return size
