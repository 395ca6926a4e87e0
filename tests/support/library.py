"""Where the libtrimalloc.so under test lies."""

from __future__ import annotations

import os
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
BUILT_LIBRARY = CHECKOUT / "build" / "engine" / "libtrimalloc.so"


def library_path() -> Path:
    """Return $TRIMALLOC_LIBRARY, or else the library that the plain engine build leaves behind."""
    chosen = os.environ.get("TRIMALLOC_LIBRARY")
    return Path(chosen).resolve() if chosen else BUILT_LIBRARY
