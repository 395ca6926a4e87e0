"""Runs another benchmark program and then asks how much of the process's memory stats() explains.

    python -m bench.python.accounting PROGRAM

Read once with what the program keeps still alive, and once more after it has idled; needs the
package `trimalloc` in the interpreter. Beside the package's own account stands all anonymous memory
of the process, counted by the kernel: what is missing from the one to the other is not malloc's
(stacks, data of libraries, the interpreter's own mappings).
"""

from __future__ import annotations

import gc
import importlib
import json
import sys
import time

from bench.python.harness import IDLE_SECONDS, Report, require, rollup_kib
from bench.python.proof import allocator_in_use


def account(report: Report, when: str) -> None:
    """Adds the figures of this moment, their names beginning with `when`."""
    explanation = require("trimalloc").explain()
    report.add(f"{when}_explained_percent", explanation.explained_share * 100)
    report.add(f"{when}_measured_kib", explanation.measured / 1024)
    report.add(f"{when}_untouched_kib", explanation.untouched / 1024)
    report.add(f"{when}_anonymous_kib", rollup_kib("Anonymous"))


def main(program: str) -> None:
    """Runs the program's work and prints one line."""
    require("trimalloc")
    report = Report()
    survivors = importlib.import_module(f"bench.python.{program}").workload(report)
    gc.collect()
    account(report, "drop")
    time.sleep(IDLE_SECONDS)
    account(report, "idle")
    del survivors
    print(json.dumps({"metrics": report.metrics, "proof": allocator_in_use()}))


if __name__ == "__main__":
    main(sys.argv[1])
