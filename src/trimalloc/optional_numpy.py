"""NumPy where it is installed: columns are its arrays then. It is imported when first used."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any


def numpy_or_none() -> Any:
    """Return the module, or None when it is not installed."""
    return import_module("numpy") if find_spec("numpy") is not None else None


def numpy_needed(what: str) -> Any:
    """Return the module; ImportError that says what needs it."""
    numpy = numpy_or_none()
    if numpy is None:
        raise ImportError(f"{what} needs NumPy: pip install numpy")
    return numpy
