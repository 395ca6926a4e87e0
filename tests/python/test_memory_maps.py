"""Reading /proc/PID/maps and smaps."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

from trimalloc.memory_maps import read_maps, read_smaps


def test_the_mappings_ascend_and_name_files() -> None:
    mappings = read_maps()
    assert all(one.start < one.end for one in mappings)
    assert [one.start for one in mappings] == sorted(one.start for one in mappings)
    assert any(one.is_file and "libc.so" in one.path for one in mappings)


def test_both_files_tell_of_the_same_mappings() -> None:
    libc = {(one.start, one.end) for one in read_maps() if "libc.so" in one.path}
    assert libc == {(one.start, one.end) for one in read_smaps() if "libc.so" in one.path}


def test_resident_bytes_are_those_that_were_touched(tmp_path: Path) -> None:
    path = tmp_path / "a file with spaces"
    path.write_bytes(bytes(1 << 20))
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as content:
        content[: 1 << 19] = b"x" * (1 << 19)
        (mapping,) = [one for one in read_smaps(os.getpid()) if one.path == str(path)]
    assert 1 << 19 <= mapping.rss_bytes <= 1 << 20
