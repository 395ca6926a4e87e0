"""The layers of the project hold, and the checker that says so notices when they do not."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def checker() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "check_layers", CHECKOUT / "tools" / "check_layers.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["check_layers"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of what is checked, to break."""
    for folder in ("engine", "src"):
        shutil.copytree(
            CHECKOUT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
    return tmp_path


def add_line(path: Path, line: str) -> None:
    path.write_text(path.read_text() + "\n" + line + "\n")


def test_the_project_keeps_its_layers(checker: ModuleType) -> None:
    assert checker.check(CHECKOUT) == []


@pytest.mark.parametrize(
    ("file", "line", "complaint"),
    [
        ("engine/base/bits.h", '#include "engine/platform/os.h"', "base/ lies under platform/"),
        (
            "engine/pages/span.h",
            '#include "engine/cache/cache_tier.h"',
            "pages/ lies under cache/",
        ),
        ("engine/pages/span.h", '#include "span.h"', "no path from the root"),
        (
            "engine/central/size_classes.h",
            '#include "include/trimalloc/trimalloc.h"',
            "must not know the public header",
        ),
        (
            "engine/frontends/malloc/large.h",
            '#include "engine/frontends/pymalloc_arenas/hooks.h"',
            "front ends do not reach into each other",
        ),
        ("engine/cache/cache_tier.cc", "#ifdef __linux__", "that belongs into platform/"),
        ("src/trimalloc/sizes.py", "from trimalloc.cli import main", "API lies under cli"),
        ("src/trimalloc/sizes.py", "from .cli.main import main", "API lies under cli"),
        (
            "src/trimalloc/comparison/run.py",
            "def late():\n    from trimalloc import exporters",
            "lies under exporters and plots",
        ),
        ("src/trimalloc/sizes.py", "import numpy", "not in the standard library"),
    ],
)
def test_a_breach_is_noticed(
    file: str, line: str, complaint: str, copy: Path, checker: ModuleType
) -> None:
    add_line(copy / file, line)
    problems = checker.check(copy)
    assert len(problems) == 1
    assert problems[0].startswith(file)
    assert complaint in problems[0]


def test_an_exception_that_is_not_needed_is_noticed(copy: Path, checker: ModuleType) -> None:
    api = copy / "engine/frontends/malloc/api.cc"
    api.write_text(api.read_text().replace("pymalloc_arenas/hooks.h", "malloc/process.h"))
    assert checker.check(copy) == [
        "the exception for engine/frontends/pymalloc_arenas/hooks.h in "
        "engine/frontends/malloc/api.cc is not needed"
    ]
