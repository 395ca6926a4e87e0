"""Heaps shared with C: addresses, references both ways, layouts; through ctypes and a C program."""

from __future__ import annotations

import ctypes
import gc
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import pytest
from support.programs import Programs

import trimalloc

from .shapes import MANY_WIDES, wide_and_other

# All pointers are numbers here: nothing has to be converted.
_POINTER, _NUMBER = ctypes.c_size_t, ctypes.c_uint32
_REFERENCE: Any = None  # of the width of the library
_FUNCTIONS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "heap_at": (_POINTER, (_POINTER,)),
    "heap_at_abi": (_POINTER, (_NUMBER, _POINTER)),
    "enter": (None, (_POINTER, _POINTER)),
    "leave": (None, (_POINTER,)),
    "new": (_REFERENCE, (_POINTER, _NUMBER)),
    "new_refs": (_REFERENCE, (_POINTER, _NUMBER)),
    "at": (_POINTER, (_POINTER, _REFERENCE)),
    "store": (None, (_POINTER, _POINTER, _REFERENCE)),
    "root_add": (_NUMBER, (_POINTER, _REFERENCE)),
    "root_remove": (None, (_POINTER, _NUMBER)),
    "free_record": (ctypes.c_int, (_POINTER, _REFERENCE)),
    "region_begin": (None, (_POINTER, _POINTER)),
    "region_add": (ctypes.c_int, (_POINTER, _POINTER, _REFERENCE)),
    "region_end": (_POINTER, (_POINTER, _POINTER)),
    "type_of": (_NUMBER, (_POINTER, _REFERENCE)),
    "is_live": (ctypes.c_int, (_POINTER, _REFERENCE)),
}


class Library:
    """The C interface with its prototypes."""

    def __init__(self, bits: int) -> None:
        library = ctypes.CDLL(trimalloc.heap_library_path(references=bits), use_errno=True)
        reference = ctypes.c_uint32 if bits == 32 else ctypes.c_uint64
        prefix = "trimalloc" if bits == 32 else "trimalloc64"
        for name, (result, arguments) in _FUNCTIONS.items():
            function = getattr(library, f"{prefix}_{name}")
            function.restype = reference if name in ("new", "new_refs") else result
            function.argtypes = tuple(one or reference for one in arguments)
            setattr(self, name, function)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        raise AttributeError(name)

    # Only where no other thread needs the GIL: each call here gives it up, and takes it again.
    @contextmanager
    def inside(self, heap: trimalloc.Heap) -> Iterator[int]:
        access = ctypes.create_string_buffer(128)
        self.enter(self.heap_at(heap.address), ctypes.addressof(access))
        try:
            yield ctypes.addressof(access)
        finally:
            self.leave(ctypes.addressof(access))


@dataclass
class Shared:
    library: Library
    heap: trimalloc.Heap
    link: Any

    def number_of(self, access: int, reference: int) -> ctypes.c_int64:
        at = self.library.at(access, reference) + self.heap.c_layout("Link").offsets["number"]
        return ctypes.c_int64.from_address(at)

    def next_of(self, access: int, reference: int) -> int:
        at: int = self.library.at(access, reference)
        return at + self.heap.c_layout("Link").offsets["next"]


@pytest.fixture
def shared(references: int) -> Shared:
    heap = trimalloc.Heap()

    @heap.record
    class Link:
        number: trimalloc.int64
        next: Link | None

    return Shared(Library(references), heap, Link)


# A column of so many is written without the GIL; what was freed meanwhile would be written, too,
# when another record has its place.
@pytest.mark.parametrize("how", ["free", "region"])
def test_what_c_frees_waits_for_a_column(references: int, how: str) -> None:
    heap = trimalloc.Heap(gc_percent=None)
    classes = wide_and_other(heap)
    library = Library(references)
    count = MANY_WIDES
    many = classes.Wide.batch(count)
    last = [heap.to_reference(many[i]) for i in range(count - 200, count)]
    values = numpy.full((count, 500), -1)
    many.numbers = values  # once before, because the first time NumPy is looked for
    written: list[None] = []
    others: list[Any] = []
    freed: list[int] = []

    def free_and_use_again() -> None:
        memory = ctypes.create_string_buffer(256)
        region = ctypes.addressof(memory)
        with library.inside(heap) as access:
            library.region_begin(access, region)
            if how == "region":
                assert all(library.region_add(access, region, one) for one in last)
        while not written:
            time.sleep(0.0001)
        with library.inside(heap) as access:
            freed.append(library.region_end(access, region))
        for reference in last:
            with library.inside(heap) as access:
                freed.append(library.free_record(access, reference))
        others.extend(classes.Other() for _ in range(5000))

    thread = threading.Thread(target=free_and_use_again)
    thread.start()
    written.append(None)
    with suppress(ReferenceError):  # they were freed before
        for _ in range(20):
            many.numbers = values
    thread.join()
    assert sum(freed) == len(last)
    assert {other.number for other in others} == {0}
    heap.verify()


def test_c_reads_and_changes_what_python_has_made(shared: Shared) -> None:
    one = shared.link(number=7, next=shared.link(number=8))
    reference = shared.heap.to_reference(one)
    with shared.library.inside(shared.heap) as access:
        number = shared.number_of(access, reference)
        assert number.value == 7
        number.value = 9
        other = shared.library.new(access, shared.heap.c_layout(shared.link).type)
        shared.number_of(access, other).value = 10
        shared.library.store(access, shared.next_of(access, reference), other)
    assert (one.number, one.next.number) == (9, 10)
    shared.heap.collect()
    assert one.next.number == 10
    shared.heap.verify()


def test_a_thread_of_c_that_ends_keeps_no_heap(references: int) -> None:
    def addresses() -> int:
        return int(Path("/proc/self/statm").read_text().split()[0]) * 4096

    library = Library(references)

    def make_one(heap: trimalloc.Heap, kind: int) -> None:
        with library.inside(heap) as access:
            library.new(access, kind)  # a sample, of which this thread has nobody to tell

    def make_one_in_a_thread() -> None:
        heap = trimalloc.Heap(sample_bytes=1)
        kind = heap.c_layout(heap.record(type("Empty", (), {}))).type
        thread = threading.Thread(target=make_one, args=(heap, kind))
        thread.start()
        thread.join()

    other = trimalloc.Heap().record(type("Other", (), {}))
    gc.collect()
    before = addresses()
    for _ in range(3):
        make_one_in_a_thread()
        gc.collect()
    end = time.monotonic() + 30  # join() does not wait for the end of what C knows as the thread
    while addresses() - before >= 1 << 30 and time.monotonic() < end:
        time.sleep(0.01)
        other()  # any call finds what nobody has told of
    assert addresses() - before < 1 << 30  # a heap has many of them


def test_python_has_what_c_has_made_and_holds_by_a_root(shared: Shared) -> None:
    with shared.library.inside(shared.heap) as access:
        made = shared.library.new(access, shared.heap.c_layout("Link").type)
        shared.number_of(access, made).value = 11
        root = shared.library.root_add(access, made)
    shared.heap.collect()
    handle = shared.heap.from_reference(made, shared.link)
    with shared.library.inside(shared.heap) as access:
        shared.library.root_remove(access, root)
    shared.heap.collect()
    assert handle.number == 11
    assert shared.heap.to_reference(handle) == made


def test_references_that_lead_nowhere_are_refused(shared: Shared) -> None:
    handle = shared.link()
    live = shared.heap.to_reference(handle)
    for wrong in (0, -1, live + 100_000, 2**32 - 1, 2**32 + live, 2**63 + live, 2**80):
        with pytest.raises(ValueError, match="no live record"):
            shared.heap.from_reference(wrong)
    with shared.library.inside(shared.heap) as access:
        array = shared.library.new_refs(access, 3)
        root = shared.library.root_add(access, array)
        given = (live, live + 100_000, array, 0, 2**32 - 1)
        types = [shared.library.type_of(access, one) for one in given]
        assert types == [shared.heap.c_layout("Link").type, 0, 0, 0, 0]
        assert [shared.library.is_live(access, one) for one in (live, array, live + 100_000)] == [
            1,
            1,
            0,
        ]
    with pytest.raises(ValueError, match="no live record"):
        shared.heap.from_reference(array)
    with shared.library.inside(shared.heap) as access:
        shared.library.root_remove(access, root)
    with pytest.raises(TypeError):
        shared.heap.from_reference("1")  # type: ignore[arg-type]


def test_what_is_of_another_class_or_heap_is_refused(shared: Shared) -> None:
    @shared.heap.record
    class Other:
        number: trimalloc.int64

    handle = shared.link()
    reference = shared.heap.to_reference(handle)
    with pytest.raises(TypeError, match="names a Link, not a Other"):
        shared.heap.from_reference(reference, Other)
    elsewhere = trimalloc.Heap()
    with pytest.raises(TypeError, match="of this heap"):
        elsewhere.to_reference(handle)
    with pytest.raises(TypeError, match="of this heap"):
        elsewhere.c_layout(shared.link)
    with pytest.raises(ValueError, match="it has Link, Other"):
        shared.heap.c_layout("Nothing")


def test_what_c_frees_python_finds_freed(shared: Shared) -> None:
    one = shared.link(number=1)
    reference = shared.heap.to_reference(one)
    with shared.library.inside(shared.heap) as access:
        assert shared.library.free_record(access, reference) == 1
        assert shared.library.free_record(access, reference) == 0
    with pytest.raises(ReferenceError):
        _ = one.number
    with pytest.raises(ReferenceError):
        shared.heap.to_reference(one)


def test_no_heap_and_other_versions_are_told(shared: Shared) -> None:
    assert shared.library.heap_at(0) == 0
    assert shared.library.heap_at(shared.heap.address) == shared.heap.address
    assert shared.library.heap_at_abi(99, shared.heap.address) == 0
    no_heap = ctypes.create_string_buffer(8192)
    assert shared.library.heap_at(ctypes.addressof(no_heap) + 4095 & ~4095) == 0


def test_both_sides_work_at_once(shared: Shared, references: int, programs: Programs) -> None:
    """Python threads and C callers allocate, link and collect in one heap."""
    layout = shared.heap.c_layout("Link")
    source = Path(__file__).parent / "programs" / "shared_heap.c"
    assert layout.declaration in source.read_text(encoding="utf-8")
    path = Path(trimalloc.heap_library_path(references=references))
    flags = ["-shared", "-fPIC", str(path), f"-Wl,-rpath,{path.parent}"]
    flags += [] if references == 32 else ["-DTRIMALLOC_WIDE_REFERENCES"]
    hang_links = ctypes.CDLL(str(programs.build(source, flags))).hang_links
    hang_links.argtypes = (_POINTER, _NUMBER, _NUMBER, ctypes.c_int, ctypes.c_int)
    tops = [shared.link(number=-1) for _ in range(4)]
    made = []

    def by_c(which: int) -> None:
        top = shared.heap.to_reference(tops[which])
        made.append(hang_links(shared.heap.address, layout.type, top, 20, 3000))

    def by_python(which: int) -> None:
        for _ in range(300):
            at = tops[which]
            for i in range(20):
                at.next = shared.link(number=i)
                at = at.next
        shared.heap.collect()

    threads = [
        threading.Thread(target=by_c if which % 2 else by_python, args=(which,))
        for which in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [60_000] * 2
    for top in tops:
        numbers = []
        at = top.next
        while at is not None:
            numbers.append(at.number)
            at = at.next
        assert numbers == list(range(20))
    shared.heap.verify()


def test_the_declaration_places_fields_as_the_heap_does(references: int, tmp_path: Path) -> None:
    heap = trimalloc.Heap()

    @heap.record
    class Plain:
        flag: trimalloc.bool_
        half: trimalloc.float16
        wide: trimalloc.complex128
        register: trimalloc.int32
        some: trimalloc.Array[trimalloc.float32, 3]
        maybe: trimalloc.int64 | None
        to: Plain | None
        name: trimalloc.Str | None

    @heap.record
    class Derived(Plain):
        tiny: trimalloc.uint8
        other: Derived | None

    lines = [] if references == 32 else ["#define TRIMALLOC_WIDE_REFERENCES"]
    lines += ['#include "trimalloc/heap.h"', "#define CHECK_AT(t, f, n) \\"]
    lines += ['  _Static_assert(offsetof(struct t, f) == n, "place");']
    for record_class in (Plain, Derived):
        layout = heap.c_layout(record_class)
        lines.append(layout.declaration)
        lines.append(f'_Static_assert(sizeof(struct {layout.name}) >= {layout.size}, "size");')
        for name, offset in layout.offsets.items():
            spelled = "register_" if name == "register" else name
            lines.append(f"CHECK_AT({layout.name}, {spelled}, {offset})")
    source = tmp_path / "layout.c"
    source.write_text("\n".join(lines))
    words = ["cc", "-std=c11", "-Wall", "-Werror", "-fsyntax-only"]
    words += [f"-I{trimalloc.get_include()}", str(source)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_container_has_a_type_and_no_structure(references: int) -> None:
    heap = trimalloc.Heap()
    index = heap.map(trimalloc.int64, trimalloc.int64)
    layout = heap.c_layout(type(index))
    assert layout.declaration == ""
    library = Library(references)
    with library.inside(heap) as access:
        assert library.type_of(access, heap.to_reference(index)) == layout.type
