"""NumPy's arrays on trimalloc's heap: ``trimalloc.numpy.use()``.

Under ``trimalloc run`` every array is there already, and `use` adds the alignment of 64 bytes. In a
process that was started without it, this is how arrays get there.
"""

from __future__ import annotations

from types import TracebackType

from trimalloc import _numpy_memory
from trimalloc.optional_numpy import numpy_needed

__all__ = ["Use", "use"]


class Use:
    """New arrays of this context are on trimalloc's heap until `restore`, or the ``with`` ends."""

    def __init__(self, huge_pages: bool) -> None:
        """Set the handler of the current context (of this thread, or asyncio task)."""
        numpy_needed("trimalloc.numpy.use")
        self._before: object = _numpy_memory.set_handler(_numpy_memory.handler(huge_pages))
        self._active = True

    def restore(self) -> None:
        """Let new arrays be where they were before; those that exist stay where they are."""
        if self._active:
            self._active = False
            _numpy_memory.set_handler(self._before)

    def __enter__(self) -> Use:
        """Return this object; leaving restores."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Restore."""
        self.restore()


def use(*, huge_pages: bool = True) -> Use:
    """Put the new arrays of this context on trimalloc's heap.

    ::

        trimalloc.numpy.use()            # from now on

        with trimalloc.numpy.use():      # or for a while
            ...

    The data of arrays begins at multiples of 64 bytes. ``zeros`` are lazily zero, ``resize`` grows
    in place where there is room, what a dropped array had is used again at once and goes back to
    the system a moment later. An array is freed by the handler that made it, whenever that is.
    NumPy keeps the handler for each context: a thread begins with NumPy's own, an asyncio task with
    its parent's. ``tracemalloc`` sees the arrays as it does NumPy's.

    Args:
        huge_pages: ask for huge pages under arrays from 4 MiB on, as NumPy itself does; not under
            ``zeros``.

    Returns what restores the handler before. Raises ImportError without NumPy (1.22 or later).
    """
    return Use(huge_pages)
