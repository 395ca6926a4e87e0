"""Callbacks for when memory gets tight.

The engine only leaves a note when it meets the soft limit. The callbacks run soon after, in the
main thread of the main interpreter, between two bytecodes: they may allocate, log, drop caches.
"""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable
from functools import cache
from typing import TypeVar

from trimalloc import _native

Callback = TypeVar("Callback", bound=Callable[[], object])

_lock = threading.Lock()
_callbacks: list[Callable[[], object]] = []


@cache
def _clear_at_exit() -> None:
    """Arrange, once, that no note is left for an interpreter that is shutting down."""
    atexit.register(_native.set_pressure_callbacks, ())


def on_pressure(callback: Callback) -> Callback:
    """Call ``callback()`` each time the soft memory limit is met; return it, so that it decorates.

    Callbacks run in the order of registration, each once per event however often it was registered.
    An exception in one goes to ``sys.unraisablehook`` and does not stop the others. A main thread
    that is inside a long C call runs them when it comes back.
    """
    if not callable(callback):
        raise TypeError(f"on_pressure() takes a callable without arguments, not {callback!r}")
    with _lock:
        if callback not in _callbacks:
            _native.set_pressure_callbacks((*_callbacks, callback))
            _callbacks.append(callback)
            _clear_at_exit()
    return callback


def remove_on_pressure(callback: Callable[[], object]) -> None:
    """Stop calling ``callback``. Raises ValueError when it was not registered."""
    with _lock:
        if callback not in _callbacks:
            raise ValueError(f"{callback!r} is not registered: pass what on_pressure() returned")
        _callbacks.remove(callback)
        _native.set_pressure_callbacks(tuple(_callbacks))
