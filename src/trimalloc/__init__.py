"""trimalloc: one memory allocator for a whole Python program, and a view of where its memory is.

Names are looked up when first used, so that ``import trimalloc`` and the ``trimalloc run`` command
load nothing that they do not need.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing's own constant, without the milliseconds of importing typing
if TYPE_CHECKING:
    from trimalloc._native import __version__
    from trimalloc.engine import is_active, mode, release, verify
    from trimalloc.explanation import Explanation, explain
    from trimalloc.geometry import SizeClass, size_classes
    from trimalloc.limits import set_memory_limit
    from trimalloc.location import library_path
    from trimalloc.pressure import on_pressure, remove_on_pressure
    from trimalloc.settings import Setting, config
    from trimalloc.snapshot import ClassStats, Stats, stats

__all__ = [
    "ClassStats",
    "Explanation",
    "Setting",
    "SizeClass",
    "Stats",
    "__version__",
    "config",
    "explain",
    "is_active",
    "library_path",
    "mode",
    "on_pressure",
    "release",
    "remove_on_pressure",
    "set_memory_limit",
    "size_classes",
    "stats",
    "verify",
]

_HOMES = {
    "ClassStats": "snapshot",
    "Explanation": "explanation",
    "Setting": "settings",
    "SizeClass": "geometry",
    "Stats": "snapshot",
    "__version__": "_native",
    "config": "settings",
    "explain": "explanation",
    "is_active": "engine",
    "library_path": "location",
    "mode": "engine",
    "on_pressure": "pressure",
    "release": "engine",
    "remove_on_pressure": "pressure",
    "set_memory_limit": "limits",
    "size_classes": "geometry",
    "stats": "snapshot",
    "verify": "engine",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'trimalloc' has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 (not needed to start `trimalloc run`)

    value = getattr(import_module(f"trimalloc.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
