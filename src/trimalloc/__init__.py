"""trimalloc: one memory allocator for a whole Python program, and a view of where its memory is.

Names are looked up when first used, so that ``import trimalloc`` and the ``trimalloc run`` command
load nothing that they do not need.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing's own constant, without the milliseconds of importing typing
if TYPE_CHECKING:
    from trimalloc._collected import Record, WeakReference
    from trimalloc._native import __version__
    from trimalloc._pools import PoolBlock, PoolExhaustedError
    from trimalloc.collected.batch import Batch
    from trimalloc.collected.blocks import Block
    from trimalloc.collected.containers.list import List
    from trimalloc.collected.containers.lru import LRU
    from trimalloc.collected.containers.map import Map
    from trimalloc.collected.containers.priority_queue import PriorityQueue
    from trimalloc.collected.containers.trie import Trie
    from trimalloc.collected.fields import (
        Array,
        Bytes,
        Str,
        Vec,
        bool_,
        complex64,
        complex128,
        float16,
        float32,
        float64,
        int8,
        int16,
        int32,
        int64,
        uint8,
        uint16,
        uint32,
        uint64,
    )
    from trimalloc.collected.heap import Heap
    from trimalloc.collected.heap_file_error import HeapFileError
    from trimalloc.collected.heap_stats import HeapStats
    from trimalloc.collected.inspection import Histogram, HistogramRow, PathStep, RootPath
    from trimalloc.collected.opening import open_heap
    from trimalloc.collected.regions import LeakRow, Leaks, Region
    from trimalloc.collected.samples import Frame, Sample, SampleRow, Samples
    from trimalloc.collected.sharing import CLayout
    from trimalloc.collected.traversal import Walk
    from trimalloc.engine import is_active, mode, release, verify
    from trimalloc.explanation import Explanation, explain
    from trimalloc.geometry import SizeClass, size_classes
    from trimalloc.labels import label
    from trimalloc.limits import set_memory_limit
    from trimalloc.location import get_include, heap_library_path, library_path
    from trimalloc.pools.pool import Pool
    from trimalloc.pools.pool_stats import PoolStats
    from trimalloc.pools.shared_pool import SharedPool, SharedPoolStats
    from trimalloc.pressure import on_pressure, remove_on_pressure
    from trimalloc.settings import Setting, config
    from trimalloc.snapshot import ClassStats, Stats, stats

__all__ = [
    "LRU",
    "Array",
    "Batch",
    "Block",
    "Bytes",
    "CLayout",
    "ClassStats",
    "Explanation",
    "Frame",
    "Heap",
    "HeapFileError",
    "HeapStats",
    "Histogram",
    "HistogramRow",
    "LeakRow",
    "Leaks",
    "List",
    "Map",
    "PathStep",
    "Pool",
    "PoolBlock",
    "PoolExhaustedError",
    "PoolStats",
    "PriorityQueue",
    "Record",
    "Region",
    "RootPath",
    "Sample",
    "SampleRow",
    "Samples",
    "Setting",
    "SharedPool",
    "SharedPoolStats",
    "SizeClass",
    "Stats",
    "Str",
    "Trie",
    "Vec",
    "Walk",
    "WeakReference",
    "__version__",
    "bool_",
    "complex64",
    "complex128",
    "config",
    "explain",
    "float16",
    "float32",
    "float64",
    "get_include",
    "heap_library_path",
    "int8",
    "int16",
    "int32",
    "int64",
    "is_active",
    "label",
    "library_path",
    "mode",
    "on_pressure",
    "open_heap",
    "release",
    "remove_on_pressure",
    "set_memory_limit",
    "size_classes",
    "stats",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "verify",
]

_HOMES = {
    "Array": "collected.fields",
    "Batch": "collected.batch",
    "Block": "collected.blocks",
    "Bytes": "collected.fields",
    "CLayout": "collected.sharing",
    "ClassStats": "snapshot",
    "Explanation": "explanation",
    "Frame": "collected.samples",
    "Heap": "collected.heap",
    "HeapFileError": "collected.heap_file_error",
    "HeapStats": "collected.heap_stats",
    "Histogram": "collected.inspection",
    "HistogramRow": "collected.inspection",
    "LRU": "collected.containers.lru",
    "LeakRow": "collected.regions",
    "Leaks": "collected.regions",
    "List": "collected.containers.list",
    "Map": "collected.containers.map",
    "PathStep": "collected.inspection",
    "Pool": "pools.pool",
    "PoolBlock": "_pools",
    "PoolExhaustedError": "_pools",
    "PoolStats": "pools.pool_stats",
    "PriorityQueue": "collected.containers.priority_queue",
    "Record": "_collected",
    "Region": "collected.regions",
    "RootPath": "collected.inspection",
    "Sample": "collected.samples",
    "SampleRow": "collected.samples",
    "Samples": "collected.samples",
    "Setting": "settings",
    "SharedPool": "pools.shared_pool",
    "SharedPoolStats": "pools.shared_pool",
    "SizeClass": "geometry",
    "Stats": "snapshot",
    "Str": "collected.fields",
    "Trie": "collected.containers.trie",
    "Vec": "collected.fields",
    "Walk": "collected.traversal",
    "WeakReference": "_collected",
    "__version__": "_native",
    "bool_": "collected.fields",
    "complex128": "collected.fields",
    "complex64": "collected.fields",
    "config": "settings",
    "explain": "explanation",
    "float16": "collected.fields",
    "float32": "collected.fields",
    "float64": "collected.fields",
    "get_include": "location",
    "heap_library_path": "location",
    "int16": "collected.fields",
    "int32": "collected.fields",
    "int64": "collected.fields",
    "int8": "collected.fields",
    "is_active": "engine",
    "label": "labels",
    "library_path": "location",
    "mode": "engine",
    "on_pressure": "pressure",
    "open_heap": "collected.opening",
    "release": "engine",
    "remove_on_pressure": "pressure",
    "set_memory_limit": "limits",
    "size_classes": "geometry",
    "stats": "snapshot",
    "uint16": "collected.fields",
    "uint32": "collected.fields",
    "uint64": "collected.fields",
    "uint8": "collected.fields",
    "verify": "engine",
}


def __getattr__(name: str) -> object:
    # A module of the package, which imports NumPy when it is used.
    home = name if name == "numpy" else _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'trimalloc' has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 (not needed to start `trimalloc run`)

    module = import_module(f"trimalloc.{home}")
    value = module if home == name else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
