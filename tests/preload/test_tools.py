"""Big programs that know nothing of us: compilers, shells, the linker."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.preload import Preload

UNIT = Path(__file__).parent / "programs" / "large_unit.cc"


@pytest.mark.slow
@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_compile(compiler: str, preload: Preload, tmp_path: Path) -> None:
    """The driver, the compiler, the assembler and the linker all run on our malloc."""
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    program = tmp_path / "program"
    options = ["-std=c++17", "-O2", "-g", "-o", str(program)]
    preload.run(compiler, *options, UNIT, timeout=180).assert_clean()
    outcome = preload.run(program)
    outcome.assert_clean()
    assert outcome.stdout == "402646700\n"


def test_sorting_and_archives(preload: Preload, tmp_path: Path) -> None:
    """sort with several threads, and a pipeline of compressors."""
    pipeline = (
        "seq 300000 | sort -R --parallel=4 | sort -n --parallel=4 > sorted && "
        "tar cf - sorted | gzip | gunzip | tar tf - && tail -1 sorted"
    )
    outcome = preload.run("sh", "-c", pipeline, directory=tmp_path)
    outcome.assert_clean()
    assert outcome.stdout == "sorted\n300000\n"
