"""The colour of each allocator, the same in every picture: on light paper, and on dark."""

from __future__ import annotations

COLOURS = {
    "trimalloc-full": ("#1456f0", "#6c9bff"),
    "trimalloc-malloc": ("#1456f0", "#6c9bff"),
    "trimalloc-arena": ("#0a94b8", "#35c2e6"),
    "glibc": ("#47525f", "#c3ccd6"),
    "glibc-2-arenas": ("#98a3b0", "#77848f"),
    "jemalloc": ("#d9660a", "#ff9d4d"),
    "tcmalloc": ("#2c8f3c", "#5fc873"),
    "mimalloc": ("#8e3bd1", "#c08bf5"),
    "python-mimalloc": ("#cf2f86", "#ff79bd"),
}
OTHER = ("#8a6d00", "#d8b43c")
