"""on_pressure(): callbacks at a safe point of the main thread."""

from __future__ import annotations

import pytest

import trimalloc
from python.commands import run_python
from trimalloc import pressure

# Crosses a soft limit of 32 MiB from below, in the thread that runs it.
CROSS = """
import sys, threading, time, trimalloc

def cross():
    return [bytearray(b"x") * (1 << 20) for _ in range(40)]

def wait_for(condition):
    end = time.monotonic() + 5
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)

trimalloc.set_memory_limit("1G", soft="32M")
"""


def run_crossing(code: str) -> list[str]:
    return run_python(CROSS + code).splitlines()


def test_each_callback_runs_in_order_of_registration() -> None:
    output = run_crossing("""
calls = []
trimalloc.on_pressure(lambda: calls.append("first"))
trimalloc.on_pressure(lambda: calls.append("second"))
kept = cross()
wait_for(lambda: len(calls) >= 2)
print(*calls[:2], trimalloc.stats().pressure_events > 0)
""")
    assert output == ["first second True"]


def test_a_callback_may_drop_a_cache_and_the_memory_is_given_back() -> None:
    output = run_crossing("""
cache = []
@trimalloc.on_pressure
def drop():
    cache.clear()
dropped = []
trimalloc.on_pressure(lambda: dropped.append(len(cache)))
for _ in range(40):
    cache.append(bytearray(b"x") * (1 << 20))
print(dropped[0], len(cache) < 20, trimalloc.stats().in_use < 32 << 20)
""")
    assert output == ["0 True True"]


def test_pressure_in_another_thread_calls_back_in_the_main_thread() -> None:
    output = run_crossing("""
names = []
trimalloc.on_pressure(lambda: names.append(threading.current_thread() is threading.main_thread()))
kept = []
worker = threading.Thread(target=lambda: kept.extend(cross()))
worker.start()
wait_for(lambda: names)
worker.join()
print(names[:1])
""")
    assert output == ["[True]"]


def test_an_exception_goes_to_the_unraisable_hook_and_the_next_callback_runs() -> None:
    output = run_crossing("""
seen = []
sys.unraisablehook = lambda unraisable: seen.append(repr(unraisable.exc_value))
trimalloc.on_pressure(lambda: 1 / 0)
trimalloc.on_pressure(lambda: seen.append("next"))
kept = cross()
wait_for(lambda: len(seen) >= 2)
print(*seen[:2], sep="; ")
""")
    assert output == ["ZeroDivisionError('division by zero'); next"]


def test_a_removed_callback_is_not_called() -> None:
    output = run_crossing("""
calls = []
removed = trimalloc.on_pressure(lambda: calls.append("removed"))
trimalloc.on_pressure(lambda: calls.append("kept"))
trimalloc.remove_on_pressure(removed)
kept = cross()
wait_for(lambda: calls)
print(set(calls))
""")
    assert output == ["{'kept'}"]


def test_pressure_while_python_shuts_down_is_harmless() -> None:
    output = run_crossing("""
import atexit
trimalloc.on_pressure(lambda: None)
class Late:
    def __del__(self):
        self.kept = cross()
sys.late = Late()
print("done")
""")
    assert output == ["done"]


def test_it_decorates() -> None:
    def callback() -> None: ...

    assert pressure.on_pressure(callback) is callback
    trimalloc.remove_on_pressure(callback)


def test_what_is_not_registered_cannot_be_removed() -> None:
    with pytest.raises(ValueError, match="is not registered"):
        trimalloc.remove_on_pressure(print)


def test_only_callables_are_taken() -> None:
    with pytest.raises(TypeError, match="takes a callable"):
        trimalloc.on_pressure("drop")  # type: ignore[type-var]
