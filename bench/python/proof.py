"""Which allocator a process really uses, asked of the process itself.

An environment variable proves nothing: a library that cannot be preloaded is ignored with a line
on stderr. So the loader is asked which library `malloc` resolves to, the interpreter which
functions serve its object domain and its arenas, and the kernel which files are mapped.
"""

from __future__ import annotations

import ctypes
import importlib
from pathlib import Path

PYMEM_DOMAIN_OBJ = 2


class _DlInfo(ctypes.Structure):
    _fields_ = (
        ("file", ctypes.c_char_p),
        ("base", ctypes.c_void_p),
        ("symbol", ctypes.c_char_p),
        ("address", ctypes.c_void_p),
    )


class _ObjectAllocator(ctypes.Structure):
    """PyMemAllocatorEx; only where `allocate` lies is looked at."""

    _fields_ = (
        ("context", ctypes.c_void_p),
        ("allocate", ctypes.c_void_p),
        ("others", ctypes.c_void_p * 3),
    )


class _ArenaAllocator(ctypes.Structure):
    """PyObjectArenaAllocator."""

    _fields_ = (
        ("context", ctypes.c_void_p),
        ("allocate", ctypes.c_void_p),
        ("deallocate", ctypes.c_void_p),
    )


def allocator_in_use() -> dict[str, object]:
    """Where malloc, the interpreter's objects and its arenas come from, and all mapped files."""
    process = ctypes.CDLL(None)
    objects, arenas = _ObjectAllocator(), _ArenaAllocator()
    ctypes.pythonapi.PyMem_GetAllocator(PYMEM_DOMAIN_OBJ, ctypes.byref(objects))
    ctypes.pythonapi.PyObject_GetArenaAllocator(ctypes.byref(arenas))
    return {
        "malloc": _library_of(ctypes.cast(process.malloc, ctypes.c_void_p).value),
        "objects": _library_of(objects.allocate),
        "arenas": _library_of(arenas.allocate),
        "python_allocator": _python_allocator_name(),
        "mapped": mapped_files(),
    }


def mapped_files() -> list[str]:
    """Every file that is mapped into this process."""
    paths = set()
    for line in Path("/proc/self/maps").read_text().splitlines():
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and fields[5].startswith("/"):
            paths.add(fields[5])
    return sorted(paths)


def _library_of(address: int | None) -> str:
    info = _DlInfo()
    found = ctypes.CDLL(None).dladdr(ctypes.c_void_p(address), ctypes.byref(info))
    return info.file.decode() if found and info.file else ""


def _python_allocator_name() -> str | None:
    """CPython's own name of it; None where its functions were replaced or it can't be asked."""
    for module in ("_testinternalcapi", "_testcapi"):
        try:
            name = importlib.import_module(module).pymem_getallocatorsname()
        except (ImportError, AttributeError, RuntimeError):
            continue
        return str(name)
    return None
