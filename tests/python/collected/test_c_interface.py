"""The C interface of the collected heap: from C, from C++, and from Python by ctypes."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from engine.exported_symbols import exported_symbols
from support.programs import Programs, cases_in

import trimalloc

HERE = Path(__file__).parent / "programs"
SOURCES = (HERE / "c_interface.c", HERE / "cpp_interface.cc")
HEADERS = ("heap.h", "containers.h")


WIDTHS = pytest.mark.parametrize("width", [32, 64])


def _flags(width: int = 32) -> list[str]:
    library = Path(trimalloc.heap_library_path(references=width))
    wide = [] if width == 32 else ["-DTRIMALLOC_WIDE_REFERENCES"]
    return [*wide, f"-I{trimalloc.get_include()}", str(library), f"-Wl,-rpath,{library.parent}"]


@WIDTHS
@pytest.mark.parametrize(
    ("source", "case"), [(source, case) for source in SOURCES for case in cases_in(source)]
)
def test_case(source: Path, case: str, width: int, programs: Programs) -> None:
    program = programs.build(source, _flags(width))
    done = subprocess.run([str(program), case], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"status {done.returncode}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("standard", ["c99", "c11", "c++11", "c++20"])
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("header", HEADERS)
@WIDTHS
def test_the_header_is_clean(
    header: str, compiler: str, standard: str, width: int, tmp_path: Path
) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    language = "c++" if "++" in standard else "c"
    source = tmp_path / "header.c"
    wide = "" if width == 32 else "#define TRIMALLOC_WIDE_REFERENCES\n"
    source.write_text(f'{wide}#include "trimalloc/{header}"\n')
    words = [compiler, "-x", language, f"-std={standard}", "-pedantic", "-Wall", "-Wextra"]
    words += ["-Wconversion", "-Werror", "-fsyntax-only", f"-I{trimalloc.get_include()}"]
    done = subprocess.run([*words, str(source)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@WIDTHS
def test_all_that_the_header_declares_is_exported_and_nothing_else(width: int) -> None:
    folder = Path(trimalloc.get_include()) / "trimalloc"
    text = "\n".join((folder / name).read_text(encoding="utf-8") for name in HEADERS)
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    declared = set(re.findall(r"\b(trimalloc_\w+)\s*\([^()]*\);", text))
    called = set(re.findall(r"return (trimalloc_\w+)\(", text))
    assert called <= declared
    if width == 64:
        # Under other names, so that a process may have both libraries.
        declared = {one.replace("trimalloc_", "trimalloc64_") for one in declared}
    exported = exported_symbols(Path(trimalloc.heap_library_path(references=width))).split()
    assert declared == set(exported)


def test_it_brings_no_malloc_and_no_cpp_library() -> None:
    words = ["readelf", "-d", trimalloc.heap_library_path()]
    needed = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert set(re.findall(r"NEEDED.*\[(\w+)", needed)) <= {"libc", "libm", "libpthread"}


def test_ctypes_can_use_it() -> None:
    library = ctypes.CDLL(trimalloc.heap_library_path())
    for name in ("trimalloc_heap_create", "trimalloc_at"):
        getattr(library, name).restype = ctypes.c_void_p
    library.trimalloc_at.argtypes = (ctypes.c_void_p, ctypes.c_uint32)
    heap = ctypes.c_void_p(library.trimalloc_heap_create(None))
    references = (ctypes.c_uint32 * 1)(0)
    link = library.trimalloc_type_create(heap, 16, references, 1)
    access = ctypes.create_string_buffer(64)
    library.trimalloc_enter(heap, access)
    root = library.trimalloc_root_add(access, 0)
    for _ in range(1000):
        record = library.trimalloc_new(access, link)
        slot = ctypes.c_void_p(library.trimalloc_at(access, record))
        library.trimalloc_store(access, slot, library.trimalloc_root_get(access, root))
        library.trimalloc_root_set(access, root, record)
        library.trimalloc_new(access, link)  # garbage
    library.trimalloc_collect(access)
    length = 0
    record = library.trimalloc_root_get(access, root)
    while record:
        record = ctypes.c_uint32.from_address(library.trimalloc_at(access, record)).value
        length += 1
    library.trimalloc_leave(access)
    library.trimalloc_heap_verify(heap)
    library.trimalloc_heap_destroy(heap)
    assert length == 1000


def test_a_program_has_both_widths_in_two_files(tmp_path: Path) -> None:
    body = """
#include "trimalloc/heap.h"
#include <stdio.h>
void NAME(void) {
  trimalloc_heap *heap = trimalloc_heap_create(NULL);
  trimalloc_access access;
  trimalloc_type type = trimalloc_type_create(heap, 16, NULL, 0);
  trimalloc_enter(heap, &access);
  trimalloc_ref record = trimalloc_new(&access, type);
  printf("%zu %d\\n", sizeof record, trimalloc_is_live(&access, record));
  trimalloc_leave(&access);
  trimalloc_heap_destroy(heap);
}
"""
    wide = "#define TRIMALLOC_WIDE_REFERENCES\n" + body.replace("NAME", "wide")
    main = "void narrow(void);\nvoid wide(void);\nint main(void) { narrow(); wide(); }\n"
    sources = {"narrow.c": body.replace("NAME", "narrow"), "wide.c": wide, "main.c": main}
    for name, text in sources.items():
        (tmp_path / name).write_text(text)
    libraries = [Path(trimalloc.heap_library_path(references=width)) for width in (32, 64)]
    words = ["cc", "-O1", *(str(tmp_path / name) for name in sources)]
    words += [f"-I{trimalloc.get_include()}", *map(str, libraries)]
    words += [f"-Wl,-rpath,{libraries[0].parent}", "-o", str(tmp_path / "both")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    ran = subprocess.run([str(tmp_path / "both")], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, "4 1\n8 1\n")
