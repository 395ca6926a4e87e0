"""What allocates is called: a label for a block of code, or the task's or the thread's own name."""

from __future__ import annotations

import functools
import inspect
import re
import sys
import threading
from collections.abc import Callable
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any, TypeVar

_F = TypeVar("_F", bound=Callable[..., Any])

# The path of the labels that are open here: follows tasks and copied contexts.
_current: ContextVar[str | None] = ContextVar("trimalloc.label", default=None)

_SEPARATOR = "/"
# What asyncio calls tasks that nobody named: each its own, so of no use to sum up by.
_NUMBERED_TASK = re.compile(r"Task-\d+")


class label:  # noqa: N801 (reads as a statement: `with trimalloc.label("name")`)
    """Name what is allocated in a ``with`` block, or in a function that it decorates.

    Labels nest: inside ``with label("load"), label("parse")`` it is ``"load/parse"``. They belong
    to the context (``contextvars``): asyncio tasks and copied contexts inherit them, other threads
    do not. Allocations outside of any go by the name of the asyncio task, of its coroutine where
    the task has none, or of the thread.
    """

    __slots__ = ("_token", "name")

    def __init__(self, name: str) -> None:
        if not isinstance(name, str) or not name:
            raise ValueError(f"a label is a name such as 'load', not {name!r}")
        #: As it was given.
        self.name = name
        self._token: Token[str | None] | None = None

    def __enter__(self) -> label:
        """Open it."""
        if self._token is not None:
            raise RuntimeError("this label is open already: make another with trimalloc.label()")
        outer = _current.get()
        path = self.name if outer is None else outer + _SEPARATOR + self.name
        self._token = _current.set(path)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        token, self._token = self._token, None
        if token is not None:
            _current.reset(token)

    def __call__(self, function: _F) -> _F:
        """Return a function whose calls are labelled; of a coroutine function, one as well."""
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(
                f"{function.__qualname__} is a generator, which runs in whatever calls it: "
                "label the code inside with a `with` block that holds no yield"
            )
        return _labelled(function, self.name)


def _labelled(function: _F, name: str) -> _F:
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def call_later(*args: Any, **kwargs: Any) -> Any:
            with label(name):
                return await function(*args, **kwargs)

        return call_later  # type: ignore[return-value]

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with label(name):
            return function(*args, **kwargs)

    return call  # type: ignore[return-value]


def current_label() -> str:
    """Return the label of what is allocated here and now."""
    path = _current.get()
    return path if path is not None else _task_name() or threading.current_thread().name


def _task_name() -> str | None:
    asyncio = sys.modules.get("asyncio")  # whoever has not imported it has no tasks
    if asyncio is None:
        return None
    try:
        task = asyncio.current_task()
    except RuntimeError:  # no loop runs in this thread
        return None
    if task is None:
        return None
    name = task.get_name()
    if _NUMBERED_TASK.fullmatch(name) is None:
        return str(name)
    return str(getattr(task.get_coro(), "__qualname__", name))
