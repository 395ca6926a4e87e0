"""`python -m bench table`: prints the tables of result files again."""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.report import render
from bench.results import read

HELP = "print the tables of result files"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("files", nargs="+", type=Path, metavar="CSV")
    parser.add_argument(
        "--metrics", default="", metavar="NAME,...", help="metrics to show besides the usual ones"
    )


def execute(options: argparse.Namespace) -> int:
    """Prints each file's tables."""
    for path in options.files:
        print(render(*read(path), options.metrics.split(",")))
    return 0
