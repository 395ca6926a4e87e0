"""What a pool says of itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PoolStats:
    """Where a pool's blocks are. Blocks, unless the name says otherwise."""

    taken: int
    """In use now: not given back, or with a view that is still there."""
    free: int
    """Could be taken without another chunk."""
    most_out: int
    """That were out of the chunks at once: in use, or kept ready for a processor."""
    block_bytes: int
    """What a block occupies: its size, rounded up to the alignment."""
    chunks: int
    """How many there are now."""
    chunk_bytes: int
    chunk_blocks: int
    chunks_made: int
    """Since the start."""
    chunks_returned: int
    """Given back since the start."""

    @property
    def bytes(self) -> int:
        """All chunks together; what was never used of them has no memory behind it yet."""
        return self.chunks * self.chunk_bytes
