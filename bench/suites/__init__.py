"""The suites: which programs each has, and what is read from them."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from bench.suites.base import Suite

# Others are added here: a module with `make_suite(pythons)`.
NAMES = ("micro", "python", "startup")


def load(name: str, pythons: Sequence[Path]) -> Suite:
    """A suite by name; `pythons` are the interpreters that its programs run on."""
    module = importlib.import_module(f"bench.suites.{name}")
    suite: Suite = module.make_suite(pythons)
    return suite
