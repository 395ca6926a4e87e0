"""Interpreters with a GIL of their own (CPython 3.12 and later), and older ones that share it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from python.commands import run_python

# create() and run_string() have one shape in both modules; by default each interpreter is isolated.
START = """
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters

def run(code):
    interpreter = interpreters.create()
    # 3.13 returns what was raised, its predecessors raise it.
    failure = interpreters.run_string(interpreter, code)
    assert failure is None, failure
    interpreters.destroy(interpreter)
"""

USE = """
import trimalloc
stats = trimalloc.stats()
assert stats.committed >= stats.in_use
assert str(stats) and trimalloc.size_classes()
assert trimalloc.config(release_delay_ms=200)["release_delay_ms"].value == "200"
trimalloc.release()
trimalloc.verify()
try:
    trimalloc.on_pressure(print)
except RuntimeError as error:
    assert "main interpreter" in str(error)
else:
    raise AssertionError("callbacks can only run in the main interpreter")
"""


def test_the_package_works_in_sub_interpreters_beside_the_main_one() -> None:
    code = (
        f"{START}\nimport trimalloc\nrun({USE!r})\nrun({USE!r})\ntrimalloc.stats()\nprint('worked')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.stdout, done.stderr) == ("worked\n", "")


@pytest.mark.parametrize("mode", ["full", "arena"])
def test_sub_interpreters_run_under_preload(mode: str) -> None:
    assert run_python(f"{START}\nrun({USE!r})\nprint('worked')", "--mode", mode) == "worked\n"


@pytest.mark.skipif(sys.version_info < (3, 12), reason="one GIL for all before CPython 3.12")
def test_sub_interpreters_in_threads_allocate_at_the_same_time() -> None:
    work = "import trimalloc\nfor n in range(200):\n    bytearray(n * 1000)\n    trimalloc.stats()"
    output = run_python(f"""{START}
import threading
threads = [threading.Thread(target=run, args=({work!r},)) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print("worked")
""")
    assert output == "worked\n"
