"""The engine's C interface (include/trimalloc/trimalloc.h), function by function."""

from collections.abc import Callable
from typing import TypedDict

class ClassCounters(TypedDict):
    """One entry of ``trimalloc_stats.classes``."""

    object_bytes: int
    span_pages: int
    span_objects: int
    batch_objects: int
    spans: int
    in_use: int
    thread_cached: int
    transfer_cached: int
    central_free: int
    requested_bytes: int
    requested_count: int
    refills: int
    flushes: int
    span_fetches: int

class Counters(TypedDict):
    """``trimalloc_stats``."""

    reserved: int
    committed: int
    small_in_use: int
    large_in_use: int
    large_requested: int
    large_objects: int
    thread_cached: int
    transfer_cached: int
    central_free: int
    span_tail: int
    page_heap_resident: int
    page_heap_released: int
    metadata: int
    thread_caches: int
    limit: int
    soft_limit: int
    peak_resident: int
    commits: int
    releases: int
    released_bytes: int
    large_allocations: int
    large_frees: int
    remapped_bytes: int
    idle_drains: int
    pressure_events: int
    limit_failures: int
    scavenger_running: int
    caches_by_processor: int
    huge_pages: int
    classes: list[ClassCounters]

class VersionInfo(TypedDict):
    """The versions of the engine's C interface."""

    abi_version: int
    api_struct_bytes: int
    size_classes: int

__version__: str

def stats() -> Counters: ...
def stats_of(pid: int, /) -> Counters: ...
def release() -> int: ...
def set_limit(hard_bytes: int, soft_bytes: int, /) -> None: ...
def get_setting(name: str, /) -> str: ...
def set_setting(name: str, text: str, /) -> None: ...
def settings() -> dict[str, tuple[str, str]]: ...
def is_preloaded() -> bool: ...
def mode() -> str: ...
def owns(address: int, /) -> bool: ...
def verify() -> int: ...
def set_pressure_callbacks(callbacks: tuple[Callable[[], object], ...], /) -> None: ...
def engine() -> object: ...
def version_info() -> VersionInfo: ...
