"""Finding libraries with allocators of their own."""

from __future__ import annotations

from pathlib import Path

from trimalloc import library_path
from trimalloc.diagnosis.escapes import find_escapes


def test_an_embedded_allocator_is_found_by_its_messages(tmp_path: Path) -> None:
    library = tmp_path / "libsomething.so"
    library.write_bytes(b"\x7fELF ... <jemalloc>: Error allocating TSD ... mimalloc: warning: ")
    (escape,) = find_escapes([str(library)])
    assert (escape.path, escape.allocator) == (str(library), "jemalloc and mimalloc")
    assert escape.remedy == "no setting known that sends it through malloc"


def test_the_setting_that_routes_a_known_library_is_named(tmp_path: Path) -> None:
    library = tmp_path / "libarrow.so.2600"
    library.write_bytes(b"<jemalloc>: ")
    (escape,) = find_escapes([str(library)])
    assert "ARROW_DEFAULT_MEMORY_POOL=system" in escape.remedy


def test_our_own_library_and_plain_ones_are_no_escapes(tmp_path: Path) -> None:
    plain = tmp_path / "libplain.so"
    plain.write_bytes(b"\x7fELF malloc free")
    (tmp_path / "empty.so").touch()
    files = [library_path(), str(plain), str(tmp_path / "empty.so"), str(tmp_path / "absent.so")]
    assert find_escapes(files) == []
