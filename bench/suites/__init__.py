"""The suites: which programs each has, and what is read from them."""

from __future__ import annotations

import importlib

from bench.suites.base import Settings, Suite

# Those that need nothing but a compiler and an interpreter.
DEFAULT_NAMES = ("micro", "python", "startup")

# Others are added here: a module with METRICS and `make_suite(settings)`.
NAMES = (*DEFAULT_NAMES, "programs", "pyperformance", "servers", "collected", "standing")


def load(name: str, settings: Settings) -> Suite:
    """A suite by name; raises UnusableSettingError where the settings don't fit it."""
    module = importlib.import_module(f"bench.suites.{name}")
    suite: Suite = module.make_suite(settings)
    return suite
