"""Holds a measured Python program for a while when its work is done.

``trimalloc compare --idle S`` puts this file's folder on PYTHONPATH, so that ``site`` imports it at
start. It registers one function with ``atexit``, before any other, so that it runs after all of
them: it reports the phase ``quiet``, sleeps S seconds while everything that the program still holds
is alive, and lets the interpreter end. The program sees its own environment and search path, and a
``sitecustomize`` of its own still runs; its child processes are not held. A program that reports a
quiet phase of its own is left alone. Ending by a signal or ``os._exit`` skips the hold.

It must not import trimalloc, nor anything that a bare interpreter has not imported already.
"""

import atexit
import os
import sys
import time

_FOLDER = os.path.dirname(__file__)  # noqa: PTH120 - pathlib is not imported by a bare interpreter


def _append(report: str, phase: str) -> None:
    with open(report, "a") as file:  # noqa: PTH123
        file.write(f'{{"phase": "{phase}", "time": {time.monotonic()}}}\n')


def _hold(report: str, seconds: float, pid: int) -> None:
    if os.getpid() != pid:
        return  # a fork that ends by itself
    try:
        with open(report) as file:  # noqa: PTH123
            if '"quiet"' in file.read():
                return
    except FileNotFoundError:
        pass
    _append(report, "quiet")
    time.sleep(seconds)
    _append(report, "exit")


def _start() -> None:
    seconds = os.environ.pop("TRIMALLOC_COMPARE_HOLD", "")
    report = os.environ.get("TRIMALLOC_COMPARE_REPORT", "")
    # The command itself leads its session; a Python that it starts does not.
    if seconds and report and os.getsid(0) == os.getpid():
        atexit.register(_hold, report, float(seconds), os.getpid())


def _leave_no_trace() -> None:
    rest = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    rest = [entry for entry in rest if entry != _FOLDER]
    if any(rest):
        os.environ["PYTHONPATH"] = os.pathsep.join(rest)
    else:
        os.environ.pop("PYTHONPATH", None)
    sys.path[:] = [entry for entry in sys.path if entry != _FOLDER]
    this = sys.modules.pop("sitecustomize")
    try:
        # The program's own, which this file has hidden.
        import sitecustomize  # type: ignore[import-not-found] # noqa: F401, PLC0415
    except ModuleNotFoundError as error:
        if error.name != "sitecustomize":
            raise
        sys.modules["sitecustomize"] = this


_start()
_leave_no_trace()
