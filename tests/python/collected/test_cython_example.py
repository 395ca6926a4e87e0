"""examples/records: the Cython extension builds against what is installed, and works."""

from __future__ import annotations

import importlib.util
import random
import subprocess
import sys
import sysconfig
import threading
from pathlib import Path
from types import ModuleType

import pytest
from support.library import CHECKOUT

import trimalloc

pytest.importorskip("Cython")

SOURCE = CHECKOUT / "examples" / "records" / "sorted_numbers.pyx"


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    folder = tmp_path_factory.mktemp("cython")
    generated, module = folder / "sorted_numbers.c", folder / "sorted_numbers.so"
    cython = [sys.executable, "-m", "cython", "-3", str(SOURCE), "-o", str(generated)]
    library = Path(trimalloc.heap_library_path())
    compiler = ["cc", "-shared", "-fPIC", "-O1", str(generated), "-o", str(module)]
    compiler += [f"-I{sysconfig.get_path('include')}", f"-I{trimalloc.get_include()}"]
    compiler += [str(library), f"-Wl,-rpath,{library.parent}"]
    for command in (cython, compiler):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    spec = importlib.util.spec_from_file_location("sorted_numbers", module)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def test_it_is_a_set(example: ModuleType) -> None:
    numbers, model = example.SortedNumbers(), set()
    chosen = random.Random(1)
    for _ in range(20_000):
        number = chosen.randrange(-10_000, 10_000)
        assert numbers.add(number) == (number not in model)
        model.add(number)
    for number in range(-10_000, 10_000):
        assert (number in numbers) == (number in model)
    numbers.clear()
    assert 0 not in numbers


def test_threads_have_sets_of_their_own(example: ModuleType) -> None:
    missing: list[int] = []

    def fill(seed: int) -> None:
        numbers = example.SortedNumbers()
        chosen = random.Random(seed).sample(range(1_000_000), 20_000)
        for number in chosen:
            numbers.add(number)
        missing.extend(number for number in chosen if number not in numbers)

    threads = [threading.Thread(target=fill, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not missing
