"""The processes that run on trimalloc."""

from __future__ import annotations

from pathlib import Path

from trimalloc.snapshot import Stats, stats


def snapshots() -> list[tuple[Stats, str]]:
    """Return a snapshot, and the command, of each readable process that runs on trimalloc."""
    found = []
    for directory in Path("/proc").iterdir():
        if not directory.name.isdigit():
            continue
        try:
            command = (directory / "cmdline").read_bytes()
            snapshot = stats(int(directory.name))
        except OSError:  # not ours to read, without trimalloc, or gone
            continue
        words = command.decode(errors="replace").replace("\0", " ").split()
        found.append((snapshot, " ".join(words)))
    return sorted(found, key=lambda entry: entry[0].pid)
