"""`python -m proofs [MODEL ...]`: every check and every broken variant, a line each."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from proofs import checker


def main() -> int:
    """0: what should hold does, and what is broken is caught; 1: not so; 2: cannot say."""
    parser = argparse.ArgumentParser(prog="python -m proofs", description=checker.__doc__)
    names = [path.stem for path in checker.models()]
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"of {', '.join(names)}")
    wanted = parser.parse_args().models or names
    if unknown := sorted(set(wanted) - set(names)):
        parser.error(f"no model named {unknown[0]}: choose from {', '.join(names)}")
    if tool := checker.missing_tool():
        print(f"proofs: {tool} is not there: {checker.INSTALL}", file=sys.stderr)
        return 2
    wrong = 0
    for check in checker.checks():
        if check.model in wanted:
            wrong += not _report(check)
    return 1 if wrong else 0


def _report(check: checker.Check) -> bool:
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        answer = checker.run(check, Path(folder))
    seconds = time.monotonic() - began
    right = answer.holds != bool(check.variant)
    verdict = "holds" if answer.holds else f"fails: {answer.violation}"
    mark = "ok" if right else "WRONG"
    print(f"{mark:5} {check}: {verdict} ({answer.states} states, {seconds:.1f} s)", flush=True)
    return right


if __name__ == "__main__":
    try:
        sys.exit(main())
    except checker.CheckerError as error:
        print(f"proofs: {error}", file=sys.stderr)
        sys.exit(2)
