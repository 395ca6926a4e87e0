"""Pictures by matplotlib, which is optional: ``pip install trimalloc[plots]``."""

from __future__ import annotations

from importlib.util import find_spec


def require_matplotlib() -> None:
    """Raises ValueError with what to install when matplotlib is not there."""
    if find_spec("matplotlib") is None:
        raise ValueError("--png needs matplotlib: pip install 'trimalloc[plots]'")
