"""``trimalloc size-classes``: the table of size classes, with what each wastes."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trimalloc.geometry import SizeClass

HELP = "print the size classes with what each wastes"

_EPILOG = (
    "tail: what is left of a span, too short for one more object. rounding up: what the smallest "
    "request that a class serves loses of its object. *: for Python's objects alone. Larger "
    "requests get whole pages of 8 KiB."
)
_HEADER = "class   bytes  serves from  span KiB  objects  batch  tail bytes    tail  rounding up"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.epilog = _EPILOG
    parser.add_argument("--json", action="store_true", help="print JSON")


def main(args: argparse.Namespace) -> int:
    """Print the table; return the exit status."""
    from trimalloc.geometry import size_classes

    classes = size_classes()
    if args.json:
        import json

        print(json.dumps([_to_dict(one) for one in classes], indent=2))
    else:
        print(_HEADER)
        for one in classes:
            print(_row(one))
    return 0


def _to_dict(one: SizeClass) -> dict[str, object]:
    from dataclasses import asdict

    return {
        **asdict(one),
        "span_bytes": one.span_bytes,
        "tail_bytes": one.tail_bytes,
        "tail_share": one.tail_share,
        "rounding_share": one.rounding_share,
    }


def _row(one: SizeClass) -> str:
    return (
        f"{one.index:5d}  {one.object_bytes:6d}  {one.smallest_bytes:11d}  "
        f"{one.span_bytes // 1024:8d}  {one.span_objects:7d}  {one.batch_objects:5d}  "
        f"{one.tail_bytes:10d}  {one.tail_share:6.1%}  {one.rounding_share:11.1%}"
        f"{'*' if one.python_objects else ''}"
    )
