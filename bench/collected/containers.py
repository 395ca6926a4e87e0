"""What an entry costs in the containers of a `trimalloc.Heap`, beside those of Python programs.

    python -m bench.collected.containers [COUNT] [STRUCTURE...]

Each subject builds the same entries in a process of its own; subjects take turns, and figures are
medians:

    bytes      resident memory per entry, keys and values included
    build ns   per entry: put in, in bulk where the subject can (else one by one)
    bulk ns    per look-up of many keys at once (else one by one); of queues: per entry taken out
    one ns     per look-up of one key in a loop

Keys are looked up in random order, by other objects than were put in. Peers: dict and OrderedDict,
functools.lru_cache, heapq, and of PyPI pygtrie and marisa-trie (`pip install --group bench`), whose
trie is made once and cannot be changed.
"""

from __future__ import annotations

import functools
import gc
import heapq
import json
import os
import statistics
import subprocess
import sys
import time
from collections import OrderedDict

from bench.child import SkippedError
from bench.python.harness import require, status_kib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

np = require("numpy")
trimalloc = require("trimalloc")

COUNT = 1_000_000
RUNS = 3
CHUNK = 10_000  # entries that are put in at once: so many keys exist beside the container
SPREAD = 7919  # between numbers that are keys
FIGURES = ("bytes", "build ns", "bulk ns", "one ns")


def numbers(order: Any) -> Any:
    """Keys that are numbers, of entries given by number."""
    return order * SPREAD


def names(order: Any) -> list[bytes]:
    """Keys of 10 to 16 bytes that share beginnings, as identifiers do."""
    return [b"user/%d/name" % number for number in (order * SPREAD % 1_000_003).tolist()]


def chunks(count: int) -> Iterator[Any]:
    """Numbers of entries, a few at a time."""
    for first in range(0, count, CHUNK):
        yield np.arange(first, min(first + CHUNK, count))


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


class Subject:
    """A container with entries, and how they are found; by default one by one in a loop."""

    keys: Callable[[Any], Any] = staticmethod(numbers)

    def __init__(self, count: int) -> None:
        self.count = count
        self.made: Any = {}
        self.find: Callable[[Any], object] = self.made.__getitem__

    def fill(self) -> float:
        """Puts all entries in; returns how long that took, without making the keys."""
        total = 0.0
        for chunk in chunks(self.count):
            keys = self.keys(chunk)
            total += seconds(lambda keys=keys, chunk=chunk: self.put(keys, chunk))
        return total

    def own_bytes(self) -> float | None:
        """What it says it takes; None: what the process grew by counts."""
        return None

    def put(self, keys: Any, values: Any) -> None:
        """Puts some in."""
        given = keys.tolist() if hasattr(keys, "tolist") else keys
        self.made.update(zip(given, values.tolist(), strict=True))

    def bulk(self, keys: Any) -> None:
        """Looks many up."""
        self.loop(keys)

    def loop(self, keys: Any) -> None:
        """Looks many up one by one."""
        find = self.find
        for key in keys:
            find(key)


class Dict(Subject):
    """dict, int to int."""


class DictOfNames(Subject):
    """dict, bytes to int."""

    keys = staticmethod(names)


class Ours(Subject):
    """A container of a heap."""

    def make(self, home: Any) -> Any:
        """The container, empty."""
        return home.map(trimalloc.int64, trimalloc.int64)

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.home = trimalloc.Heap()
        self.made = self.make(self.home)
        self.find = getattr(self.made, "__getitem__", self.find)

    def put(self, keys: Any, values: Any) -> None:
        """Puts some in."""
        self.made.set_many(keys, values)

    def fill(self) -> float:
        """Puts all in; arrays that were outgrown go back."""
        took = super().fill()
        self.home.release()
        return took

    def bulk(self, keys: Any) -> None:
        """Looks many up."""
        self.made.get_many(keys)


class OursOfNames(Ours):
    """The same with bytes as keys."""

    keys = staticmethod(names)

    def make(self, home: Any) -> Any:
        """The map, empty."""
        return home.map(bytes, trimalloc.int64)


class OursTrie(OursOfNames):
    """A trie; look-ups are for longest prefixes."""

    def make(self, home: Any) -> Any:
        """The trie, empty."""
        return home.trie(trimalloc.int64)

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.find = self.made.longest_prefix

    def bulk(self, keys: Any) -> None:
        """Looks many up."""
        self.made.longest_prefix_many(keys)


class Pygtrie(Subject):
    """pygtrie.CharTrie: a dict for each letter."""

    keys = staticmethod(names)

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.made = require("pygtrie").Trie()
        self.find = self.made.longest_prefix

    def put(self, keys: Any, values: Any) -> None:
        """Puts some in."""
        for key, value in zip(keys, values.tolist(), strict=True):
            self.made[key] = value


class Marisa(Subject):
    """marisa_trie.RecordTrie: static, all keys are needed at once."""

    @staticmethod
    def keys(order: Any) -> list[str]:
        """Text, as it takes."""
        return [name.decode() for name in names(order)]

    def own_bytes(self) -> float:
        """Its size as a file: the keys that it was made of leave holes in the process."""
        return float(len(self.made.tobytes()))

    def fill(self) -> float:
        """Makes it."""
        order = np.arange(self.count)
        values = ((number,) for number in order.tolist())
        keys = self.keys(order)
        start = time.perf_counter()
        self.made = made = require("marisa_trie").RecordTrie("<q", zip(keys, values, strict=True))
        took = time.perf_counter() - start

        def longest_prefix(key: str) -> Any:
            found = made.prefixes(key)[-1]
            return found, made[found]

        self.find = longest_prefix
        return took


class Ordered(Subject):
    """An LRU map as it is usually written, over OrderedDict."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        entries: OrderedDict[int, int] = OrderedDict()
        self.made = entries

        def find(key: int) -> int:
            value = entries[key]
            entries.move_to_end(key)
            return value

        self.find = find

    def put(self, keys: Any, values: Any) -> None:
        """Puts some in."""
        for key, value in zip(keys.tolist(), values.tolist(), strict=True):
            self.made[key] = value
            if len(self.made) > self.count:
                self.made.popitem(last=False)


class LruCache(Subject):
    """functools.lru_cache around a function that makes the value."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.find = functools.lru_cache(maxsize=count)(lambda key: key // SPREAD)

    def put(self, keys: Any, values: Any) -> None:  # noqa: ARG002 (the cache asks for values)
        """Puts some in."""
        for key in keys.tolist():
            self.find(key)


class OursLru(Ours):
    """An LRU map of a heap."""

    def make(self, home: Any) -> Any:
        """The map, empty."""
        return home.lru(trimalloc.int64, trimalloc.int64, capacity=self.count)


class Heapq(Subject):
    """heapq over tuples of a priority and a value."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.made: list[tuple[int, int]] = []

    @staticmethod
    def keys(order: Any) -> Any:
        """Priorities, in no order."""
        return order * SPREAD % 1_000_003

    def put(self, keys: Any, values: Any) -> None:
        """Puts some in."""
        for entry in zip(keys.tolist(), values.tolist(), strict=True):
            heapq.heappush(self.made, entry)

    def bulk(self, keys: Any) -> None:
        """Takes as many out."""
        self.loop(keys)

    def loop(self, keys: Any) -> None:
        """Takes as many out, one by one."""
        made, pop = self.made, heapq.heappop
        for _ in keys:
            pop(made)


class OursQueue(Ours):
    """A priority queue of a heap."""

    keys = staticmethod(Heapq.keys)

    def make(self, home: Any) -> Any:
        """The queue, empty."""
        return home.priority_queue(trimalloc.int64, trimalloc.int64)

    def put(self, keys: Any, values: Any) -> None:
        """Puts some in."""
        self.made.push_many(keys, values)

    def bulk(self, keys: Any) -> None:
        """Takes as many out."""
        self.made.pop_many(len(keys))

    def loop(self, keys: Any) -> None:
        """Takes as many out, one by one."""
        pop = self.made.pop
        for _ in keys:
            pop()


STRUCTURES: dict[str, dict[str, type[Subject]]] = {
    "map": {"trimalloc": Ours, "dict": Dict},
    "map of bytes": {"trimalloc": OursOfNames, "dict": DictOfNames},
    "trie": {"trimalloc": OursTrie, "pygtrie": Pygtrie, "marisa-trie": Marisa},
    "LRU": {"trimalloc": OursLru, "OrderedDict": Ordered, "lru_cache": LruCache},
    "queue": {"trimalloc": OursQueue, "heapq": Heapq},
}


def measure(structure: str, name: str, count: int) -> dict[str, float]:
    """All figures of one subject, in this process."""
    kind = STRUCTURES[structure][name]
    subject = kind(count)
    for chunk in chunks(CHUNK):  # what the first keys cost is nobody's
        kind.keys(chunk)
    gc.collect()
    before = status_kib("VmRSS")
    result = {"build ns": subject.fill() / count * 1e9}
    gc.collect()
    grown = (status_kib("VmRSS") - before) * 1024
    result["bytes"] = (subject.own_bytes() or grown) / count
    order = np.random.default_rng(7).permutation(count)
    keys = kind.keys(order)
    half = len(keys) // 2
    taken = keys[:half] if structure == "queue" else keys  # both ways take entries out
    given = plain(kind, taken)
    result["bulk ns"] = seconds(lambda: subject.bulk(given)) / len(taken) * 1e9
    taken = keys[half:] if structure == "queue" else keys
    listed = taken.tolist() if hasattr(taken, "tolist") else taken
    result["one ns"] = seconds(lambda: subject.loop(listed)) / len(taken) * 1e9
    return result


def plain(kind: type[Subject], keys: Any) -> Any:
    """Keys as the subject takes many of them: an array, or Python's own objects."""
    return keys if issubclass(kind, Ours) or isinstance(keys, list) else keys.tolist()


def run(structure: str, name: str, count: int) -> dict[str, float]:
    """The same in a process of its own; SkippedError with the reason where a module is missing."""
    command = [sys.executable, "-m", "bench.collected.containers", str(count), structure, name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"containers: {structure}, {name} failed: {done.stderr.strip()}")
    found: dict[str, Any] = json.loads(done.stdout)
    if "skipped" in found:
        raise SkippedError(f"{structure}, {name}: {found['skipped']}")
    return found


def compare(structure: str, count: int) -> None:
    """Prints a row for each subject: medians of runs that take turns."""
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in STRUCTURES[structure]}
    for _ in range(RUNS):
        for name in list(runs):
            try:
                runs[name].append(run(structure, name, count))
            except SkippedError as skipped:
                print(f"containers: {skipped}", file=sys.stderr)
                del runs[name]
    for name, found in runs.items():
        cells = (f"{statistics.median(one[figure] for one in found):.3g}" for figure in FIGURES)
        print(f"| {structure}: {name} | " + " | ".join(cells) + " |", flush=True)


def main(argv: list[str]) -> None:
    """Prints a table; with a structure and a subject, one line of JSON."""
    try:
        count = int(argv[0]) if argv else COUNT
    except ValueError:
        sys.exit(f"containers: {argv[0]!r} is no number of entries; give one such as 1000000")
    if len(argv) == 3 and argv[2] in STRUCTURES.get(argv[1], {}):
        print(json.dumps(measure(argv[1], argv[2], count)), flush=True)
        os._exit(0)  # freeing a million objects one by one is nobody's figure here
    wanted = argv[1:] or list(STRUCTURES)
    for structure in wanted:
        if structure not in STRUCTURES:
            sys.exit(f"containers: no {structure!r}; there are {', '.join(STRUCTURES)}")
    print(f"{count} entries, Python {sys.version.split()[0]}\n")
    print("| | " + " | ".join(FIGURES) + " |")
    print("| --- |" + " ---: |" * len(FIGURES))
    for structure in wanted:
        compare(structure, count)


if __name__ == "__main__":
    main(sys.argv[1:])
