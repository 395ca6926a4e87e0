"""The heap of records that a program makes, and the decorator that declares their classes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from inspect import get_annotations
from types import FunctionType, MappingProxyType
from typing import Any, TypeVar, cast

from trimalloc.collected.batch import Batch
from trimalloc.collected.blocks import Block
from trimalloc.collected.containers.factory import ContainerFactory
from trimalloc.collected.heap_file_error import told_of
from trimalloc.collected.heap_stats import HeapStats
from trimalloc.collected.inspection import Inspection
from trimalloc.collected.layout import RecordLayout, declared_fields, lay_out
from trimalloc.collected.regions import Regions
from trimalloc.collected.samples import DEFAULT_SAMPLE_BYTES, SampleLog, Sampling
from trimalloc.collected.saved_roots import SavedRoots
from trimalloc.collected.saving import save_heap
from trimalloc.collected.sharing import Sharing
from trimalloc.collected.traversal import Traversals
from trimalloc.collected.width import is_record_class, native, of_width, record_bases
from trimalloc.memory_available import available_bytes
from trimalloc.sizes import parse_size

_C = TypeVar("_C")

# limit="cgroup": what is left is for the program's other memory. As `trimalloc doctor` advises.
_GROUP_PERCENT = 90

# Methods that a record class would have in vain, because its records are made, read and written
# without Python code; and what to have instead.
_NEVER_CALLED = {
    "__new__": "make records by a classmethod",
    "__init__": "make records by a classmethod",
    "__del__": "have heap.on_reclaim() tell what the collector has freed",
    **dict.fromkeys(
        ("__getattr__", "__getattribute__", "__setattr__", "__delattr__"), "use properties"
    ),
}

# What `type` puts into a class body, which the record class gets anew.
_NOT_COPIED = {"__dict__", "__weakref__", "__annotations__", "__slots__", "__record_bases__"}


def _number(name: str, given: int | None, zero: str) -> int:
    """Return what was given, or what the variable of that name says; 0 is what ``zero`` tells."""
    text = os.environ.get(f"TRIMALLOC_{name.upper()}", "")
    number = given if given is not None else int(text) if text.isdecimal() else 0
    if not 0 <= number <= 1024:
        raise ValueError(f"{name} is a number from 0 ({zero}) to 1024, not {number}")
    return number


def _limit_bytes(limit: int | str | None) -> int:
    """Return a limit in bytes: a size, or a share of the memory there is; 0 is none."""
    if not isinstance(limit, str):
        if limit is not None and limit < 0:
            raise ValueError(f"limit is a size, or 0 for none, not {limit}")
        return limit or 0
    text = limit.strip().lower()
    if text != "cgroup" and not text.endswith("%"):
        return parse_size(limit)
    try:
        percent = _GROUP_PERCENT if text == "cgroup" else float(text[:-1])
    except ValueError:
        percent = 0
    if not 0 < percent <= 100:
        raise ValueError(f"a share of the memory is from 1% to 100%, not {limit!r}")
    available = available_bytes()
    if available == 0:
        raise ValueError(f"limit={limit!r}: the memory of this machine is not known; give a size")
    return int(available * percent / 100)


def _percent(gc_percent: int | None) -> int:
    """Return a growth as the native side takes it: negative for none."""
    if gc_percent is not None and gc_percent < 0:
        raise ValueError(f"gc_percent is a percentage, or None, not {gc_percent}")
    return -1 if gc_percent is None else gc_percent


def _sample_bytes(distance: int | str) -> int:
    """Return a distance between samples in bytes; 0: none."""
    number = distance if isinstance(distance, int) else parse_size(distance)
    if number < 0:
        raise ValueError(f"sample_bytes is a size, or 0 for no samples, not {distance}")
    return number


def _let_super_find(declared: type, draft: type, functions: list[FunctionType]) -> None:
    """Point the cells of super() and __class__ to the class that took the draft's place."""
    for function in functions:
        for cell in function.__closure__ or ():
            if cell.cell_contents is draft:
                cell.cell_contents = declared


class Heap(ContainerFactory, Traversals, Inspection, Sampling, Regions, Sharing):
    """A collected heap: compact records of declared classes, in an address range of their own.

    ``gc_percent``: a collection ends when the heap has grown by this much over what was live;
    None: only ``collect()`` collects. ``limit``: bytes, text such as ``"2G"``, a share such as
    ``"50%"`` of the memory that the control group or the machine has, or ``"cgroup"``, 90 % of it;
    beyond it allocation raises MemoryError, and also where keeping below it would take more than
    half of the time. ``procs``: caches for threads, as many as CPUs by default
    (``TRIMALLOC_PROCS``). ``markers``: threads that mark, up to a quarter of the CPUs by default,
    where there is work for them (``TRIMALLOC_MARKERS``). ``checked``: freed records are over-
    written, and collect() and the end of a region look for references to them. ``sample_bytes``:
    one record for so many bytes is sampled (see :meth:`samples`); 0: none. ``references``: bits of
    a reference, 32, which reach 64 GiB of records, or 64, which take 8 bytes.
    """

    _native: Any  # the native module of its width
    _references: int
    _pace: tuple[int, int]
    _saved: SavedRoots
    _saved_names: frozenset[str]  # classes of the file that it was opened with
    _read_only: bool

    def __new__(
        cls,
        *,
        gc_percent: int | None = 100,
        limit: int | str | None = None,
        procs: int | None = None,
        markers: int | None = None,
        checked: bool = False,
        sample_bytes: int | str = DEFAULT_SAMPLE_BYTES,
        references: int = 32,
        _file: Mapping[str, Any] = MappingProxyType({}),
    ) -> Heap:
        """Reserve the addresses; memory comes as records do."""
        percent = _percent(gc_percent)
        bytes_limit = _limit_bytes(limit)
        distance = _sample_bytes(sample_bytes)
        log = SampleLog()
        self: Heap = native(references).Heap.__new__(
            of_width(cast("Any", cls), "Heap", references),
            procs=_number("procs", procs, "as many as CPUs"),
            markers=_number("markers", markers, "as the work deserves"),
            gc_percent=percent,
            limit=bytes_limit,
            checked=checked,
            batch_class=of_width(Batch, "Batch", references),
            samples=log,
            sample_bytes=distance,
            **_file,
        )
        self._references = references
        self._sample_log = log
        self._sample_bytes = distance
        self._pace = (percent, bytes_limit)
        self._checked = checked
        self._saved = SavedRoots(self, {})
        self._saved_names = frozenset()
        self._read_only = False
        return self

    # --- classes ----------------------------------------------------------------------------

    def record(self, cls: type[_C], /) -> type[_C]:
        """Declare a class of records: its annotations are the fields, its methods are kept.

        A base that is a record class of this heap gives its fields first.
        """
        if self._is_record(cls):
            return cls
        if self._read_only:
            raise ValueError("the heap is open for reading only")
        if cls.__name__ in self._saved_names:
            raise TypeError(
                f"the file has a class {cls.__name__}: "
                f"give it to open_heap(..., classes=[{cls.__name__}])"
            )
        base, layout = self._base_of(cls)
        wanted = declared_fields(cls, self._names_for(cls), self._is_record, self._container_of)
        # A batch is read by the names of its fields; what else it has would be in the way.
        for name in wanted.keys() & set(dir(of_width(Batch, "Batch", self._references))):
            raise TypeError(f"field {name!r}: batches have something else of that name")
        return self._add_class(cls, base, lay_out(wanted, layout, self._references // 8))

    def _add_class(self, cls: type[_C], base: type, layout: RecordLayout) -> type[_C]:
        """Make a record class of that layout with what else is in `cls`."""
        for name in _NEVER_CALLED.keys() & vars(cls).keys():
            raise TypeError(
                f"{cls.__name__}.{name} would never be called: {_NEVER_CALLED[name]} instead"
            )
        functions = [one for one in vars(cls).values() if isinstance(one, FunctionType)]
        own = get_annotations(cls)
        space = {k: v for k, v in vars(cls).items() if k not in _NOT_COPIED and k not in own}
        space |= {"__slots__": (), "__layout__": layout}
        space["__annotations__"] = dict(own)
        space["__match_args__"] = tuple(one.name for one in layout.fields)
        described = tuple(one.describe() for one in layout.fields)
        declared: type[_C] = self._declare(
            cls.__name__, (base,), space, layout.size, described, layout.runs, None
        )
        _let_super_find(declared, cls, functions)
        return declared

    @property
    def _declared(self) -> list[Any]:
        """The record classes by number: in the order in which they were declared."""
        return list(self._classes.values())

    def _base_of(self, cls: type) -> tuple[type, RecordLayout]:
        bases = record_bases(cls)
        if not bases:
            return self._native.Handle, RecordLayout()
        if len(bases) > 1 or not self._is_record(bases[0]):
            raise TypeError(f"{cls.__name__} may derive from one record class of this heap only")
        layout: RecordLayout = bases[0].__layout__  # type: ignore[attr-defined]
        return bases[0], layout

    def _is_record(self, one: object) -> bool:
        return is_record_class(one) and getattr(one, "__trimalloc_heap__", None) is self

    def _names_for(self, cls: type) -> dict[str, object]:
        """Return what the annotations of `cls` can name: its module, its caller, its heap."""
        frame = sys._getframe(2)
        names: dict[str, object] = {**frame.f_globals, **frame.f_locals, **self._classes}
        # The class itself is not the record class that its fields will name.
        names.pop(cls.__name__, None)
        return names

    # --- saving -----------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str], roots: Mapping[str, Any] | None = None) -> None:
        """Collect, then write everything that lives to a file for ``trimalloc.open_heap``.

        ``roots``: records and batches by the names under which they are to be found again. The file
        appears under its name when it is whole and on disk; what had that name before is replaced.
        """
        save_heap(self, path, roots or {})

    @property
    def roots(self) -> Mapping[str, Any]:
        """The records and batches that the file names; empty when the heap came from none."""
        return self._saved

    @property
    def classes(self) -> Mapping[str, Any]:
        """The record classes by name."""
        return MappingProxyType(self._classes)

    @property
    def references(self) -> int:
        """How many bits a reference has: 32 or 64."""
        return self._references

    @property
    def read_only(self) -> bool:
        """Whether it was opened for reading only."""
        return self._read_only

    def verify(self) -> None:
        """Check every structure of the heap; abort when one is broken.

        HeapFileError: references in the file that it was opened from lead nowhere.
        """
        with told_of(self._saved._path):
            super().verify()

    # --- looking ----------------------------------------------------------------------------

    def scan(self, record_class: type, *, write: bool = False) -> Iterator[Block]:
        """Walk all records of a class where they lie, block by block (needs NumPy).

        Records of derived classes lie elsewhere. With ``write``, numbers can be changed.
        """
        layout: RecordLayout = record_class.__layout__  # type: ignore[attr-defined]
        blocks = self._scan(record_class, write)
        blocks.reverse()
        while blocks:
            yield Block(blocks.pop(), layout)

    def stats(self) -> HeapStats:
        """Return where the memory is and what the collector has done."""
        return HeapStats(**self._counters())

    # --- pace -------------------------------------------------------------------------------

    @property
    def gc_percent(self) -> int | None:
        """Growth over what was live that begins a collection; None: none begins by itself."""
        return None if self._pace[0] < 0 else self._pace[0]

    @gc_percent.setter
    def gc_percent(self, percent: int | None) -> None:
        self._change_pace(_percent(percent), self._pace[1])

    @property
    def limit(self) -> int:
        """Bytes beyond which allocation raises MemoryError; 0: none."""
        return self._pace[1]

    @limit.setter
    def limit(self, limit: int | str) -> None:
        self._change_pace(self._pace[0], _limit_bytes(limit))

    def _change_pace(self, percent: int, bytes_limit: int) -> None:
        self._set_pace(percent, bytes_limit)  # may refuse
        self._pace = (percent, bytes_limit)

    @property
    def sample_bytes(self) -> int:
        """How many bytes apart records are sampled, on average; 0: none are."""
        return self._sample_bytes

    @sample_bytes.setter
    def sample_bytes(self, distance: int | str) -> None:
        number = _sample_bytes(distance)
        self._set_sample_bytes(number)  # may refuse
        self._sample_bytes = number

    @property
    def tracemalloc_domain(self) -> int:
        """The domain under which ``tracemalloc`` has the memory of this heap."""
        return self._trace_domain()

    def __repr__(self) -> str:
        """Say how large it is."""
        stats = self.stats()
        return f"<Heap: {stats.heap_bytes} bytes in records of {len(self._classes)} classes>"
