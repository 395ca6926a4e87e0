"""What ``import trimalloc`` offers."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import trimalloc
from trimalloc import _native

STUB = Path(inspect.getfile(trimalloc)).with_name("_native.pyi")


def test_every_exported_name_exists() -> None:
    for name in trimalloc.__all__:
        assert getattr(trimalloc, name) is not None
    assert dir(trimalloc) == sorted(trimalloc.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'stat'"):
        trimalloc.stat  # type: ignore[attr-defined]  # noqa: B018


def test_the_version_is_that_of_the_distribution() -> None:
    assert trimalloc.__version__ == version("trimalloc")


def test_the_stub_names_what_the_extension_has() -> None:
    declared = {
        node.name
        for node in ast.parse(STUB.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef)
    }
    public = {name for name in dir(_native) if not name.startswith("_")}
    assert declared == public


def test_the_extension_exports_nothing_but_its_init_function() -> None:
    # An exported malloc or trimalloc_get_api would be found by dlsym(RTLD_DEFAULT) of others.
    symbols = subprocess.run(
        ["nm", "--dynamic", "--defined-only", _native.__file__],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    names = {line.split()[-1] for line in symbols.splitlines()}
    assert "PyInit__native" in names
    assert not {name for name in names if "malloc" in name or name in {"free", "calloc"}}


def test_importing_the_package_loads_nothing_else() -> None:
    code = (
        "import sys; before = set(sys.modules); import trimalloc;"
        "print(sorted(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:] = {sys.path!r}; {code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(ast.literal_eval(done.stdout)) <= {"__future__", "trimalloc"}


def test_the_library_is_part_of_the_package() -> None:
    library = Path(trimalloc.library_path())
    assert library.is_absolute()
    assert library.name == "libtrimalloc.so"
    assert library.parent.name == "lib"
