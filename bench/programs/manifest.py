"""Lists of programs: an INI file with a section for each row.

    [lua]
    command = lua5.4 {folder}/trees.lua 15     what is run; a name without "/" is looked up in PATH
    input = words.txt                           its standard input (default: nothing)
    needs = large.pdf                           files without which the row is skipped
    prepare = make clean                        run before each measurement, without the allocator
    status = 0 10                               exit statuses that mean success (default: 0)
    seconds = time: ([0-9.]+)                   the program's own figure, found in its output, for
    rate = ([0-9]+) operations                  programs that run for a fixed time: seconds, or
                                                operations of which more are better
    get = apt install lua5.4                    what to say where the program is missing

Programs are started in the folder. `{folder}` is the folder, `{build}` one to write into,
`{python}` this interpreter, `{threads}` the number of usable cores, `{twice_threads}` twice that.
"""

from __future__ import annotations

import configparser
import os
import re
import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.compile import BINARIES
from bench.suites.base import UnusableSettingError

_KEYS = ("command", "input", "needs", "prepare", "status", "seconds", "rate", "get")


@dataclass(frozen=True)
class Row:
    """One program with its arguments, resolved as far as that goes without running it."""

    name: str
    folder: Path
    command: tuple[str, ...]
    input: Path
    needs: tuple[Path, ...]
    prepare: tuple[str, ...]
    statuses: tuple[int, ...]
    seconds: re.Pattern[str] | None
    rate: re.Pattern[str] | None
    get: str

    @property
    def output(self) -> Path:
        """Where the program's output goes."""
        return build_folder(self.folder) / f"{self.name.replace('/', '_')}.out"

    def executable(self) -> Path | None:
        """The program, if it is there."""
        name = self.command[0]
        found = shutil.which(str(self.folder / name) if "/" in name else name)
        return Path(found) if found else None

    def missing(self) -> str | None:
        """What this row lacks, and where to get it; None where it lacks nothing."""
        for path in self.needs:
            if not path.exists():
                return f"{path} is missing{self._advice()}"
        if self.executable() is None:
            return f"{self.command[0]} is missing{self._advice()}"
        return None

    def _advice(self) -> str:
        return f": {self.get}" if self.get else ""


def build_folder(folder: Path) -> Path:
    """Where the programs of a folder may write."""
    return BINARIES / "programs" / folder.name


def read_manifest(path: Path, folder: Path) -> list[Row]:
    """The rows of a list, for programs in `folder`; raises UnusableSettingError for a wrong one."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text(encoding="utf-8"), str(path))
        return [_row(name, parser[name], folder) for name in parser.sections()]
    except (configparser.Error, ValueError, KeyError, re.error) as error:
        raise UnusableSettingError(f"{path}: {' '.join(str(error).split())}") from None


def _row(name: str, section: configparser.SectionProxy, folder: Path) -> Row:
    for key in section:
        if key not in _KEYS:
            raise ValueError(f"[{name}]: {key} is none of {', '.join(_KEYS)}")
    command = _words(section.get("command", ""), folder)
    if not command:
        raise ValueError(f"[{name}] has no command")
    given = section.get("input")
    return Row(
        name=name,
        folder=folder,
        command=command,
        input=folder / _fill(given, folder) if given else Path(os.devnull),
        needs=tuple(folder / word for word in _words(section.get("needs", ""), folder)),
        prepare=_words(section.get("prepare", ""), folder),
        statuses=tuple(int(word) for word in section.get("status", "0").split()),
        seconds=_pattern(section.get("seconds")),
        rate=_pattern(section.get("rate")),
        get=section.get("get", ""),
    )


def _pattern(text: str | None) -> re.Pattern[str] | None:
    if text is None:
        return None
    pattern = re.compile(text, re.MULTILINE)
    if pattern.groups != 1:
        raise ValueError(f"{text}: the figure must be the one group of the pattern")
    return pattern


def _words(text: str, folder: Path) -> tuple[str, ...]:
    return tuple(_fill(word, folder) for word in shlex.split(text))


def _fill(text: str, folder: Path) -> str:
    threads = len(os.sched_getaffinity(0))
    values = {
        "{folder}": str(folder),
        "{build}": str(build_folder(folder)),
        "{python}": sys.executable,
        "{threads}": str(threads),
        "{twice_threads}": str(2 * threads),
    }
    for name, value in values.items():
        text = text.replace(name, value)
    return text
