"""Proves from inside which allocator made this interpreter's objects. Prints nothing.

Usage: modes.py MODE, where MODE is full, arena or malloc.
"""

from __future__ import annotations

import ctypes
import sys


class Api(ctypes.Structure):
    """The first members of trimalloc_api that are needed here; see the public header."""

    _fields_ = [
        ("abi_version", ctypes.c_uint32),
        ("struct_size", ctypes.c_uint32),
        ("allocate", ctypes.c_void_p),
        ("allocate_zeroed", ctypes.c_void_p),
        ("allocate_aligned", ctypes.c_void_p),
        ("reallocate", ctypes.c_void_p),
        ("deallocate", ctypes.c_void_p),
        ("usable_bytes", ctypes.CFUNCTYPE(ctypes.c_size_t, ctypes.c_void_p)),
        ("owns", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)),
    ]


def engine() -> Api:
    """Return the preloaded engine's interface."""
    get = ctypes.CDLL(None).trimalloc_get_api
    get.restype = ctypes.POINTER(Api)
    return get().contents  # type: ignore[no-any-return]


def main(mode: str) -> None:
    """Check where small, medium and large objects lie."""
    api = engine()
    small = [object() for _ in range(20000)] and [bytes(100 + i % 50) for i in range(20000)]
    ours = sum(bool(api.owns(id(one))) for one in small)
    # pymalloc's own arenas, mapped before or without a hook, are all that may lie elsewhere.
    assert ours == len(small) if mode != "malloc" else ours == 0, f"{ours} of {len(small)}"
    big = bytes(1 << 20)
    assert api.owns(id(big))
    assert api.usable_bytes(id(big)) >= sys.getsizeof(big)
    if mode == "full":
        # Each object is a block of its own: in an arena this would lie inside one.
        for one in small:
            assert sys.getsizeof(one) <= api.usable_bytes(id(one)) <= sys.getsizeof(one) + 32


main(sys.argv[1])
