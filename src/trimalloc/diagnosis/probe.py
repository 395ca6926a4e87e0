"""Asks the allocators of the Python that runs this file for memory, and prints whose it is.

Stand-alone: it runs under interpreters that have no trimalloc package, of any version since 3.8.
Prints one line of JSON.
"""

from __future__ import annotations

import ctypes
import json
import sys

# Places in the table of functions that trimalloc_get_api() returns, after its two version numbers:
# see include/trimalloc/trimalloc.h.
OWNS, MODE = 6, 17
SMALL, LARGE = 64, 100_000


def allocate(name: str, size: int) -> int:
    """Return the address of a fresh block; it is kept, the process ends soon."""
    library = ctypes.pythonapi if name.startswith("Py") else ctypes.CDLL(None)
    function = library[name]
    function.restype = ctypes.c_void_p
    function.argtypes = [ctypes.c_size_t]
    return int(function(size))


def ask() -> dict[str, object]:
    """Return who serves each allocator, and the engine's mode."""
    version = sys.version.split(maxsplit=1)[0]
    try:
        get_api = ctypes.CDLL(None).trimalloc_get_api
    except AttributeError:
        return {"python": version, "preloaded": False, "mode": None, "served": {}}
    get_api.restype = ctypes.c_void_p
    functions = get_api() + 2 * ctypes.sizeof(ctypes.c_uint)
    table = (ctypes.c_size_t * (MODE + 1)).from_address(functions)
    owns = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(table[OWNS])
    mode = ctypes.CFUNCTYPE(ctypes.c_char_p)(table[MODE])
    served = {
        f"{name}({size})": bool(owns(allocate(name, size)))
        for name in ("malloc", "PyMem_RawMalloc", "PyMem_Malloc", "PyObject_Malloc")
        for size in (SMALL, LARGE)
    }
    return {"python": version, "preloaded": True, "mode": mode().decode(), "served": served}


if __name__ == "__main__":
    print(json.dumps(ask()))
