"""What a model says it proves, and Spin asked whether that is so.

A model's opening comment is its specification. `Checks` lists a run a line, the property and how
the model is compiled for it; `Broken variants` a rule each that is left out, the run that must then
fail, and what is broken. The property `safe` stands for assertions and deadlocks; others are the
model's LTL formulas, under weak fairness. A check counts only when every state has been visited.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
INSTALL = "install Spin (apt-get install spin) and a C compiler"

# Of the checker, so that what it finds is the same on every machine: megabytes, and steps.
_MEMORY_MIB = 2000
_DEPTH = 1_000_000
# The longest check takes 30 s. One that hangs has a step that never ends.
_SECONDS = 300

_RUN = r"(?P<property>[a-z]\w*)(?P<options>(?: -D\w+(?:=\d+)?)*)"
_CHECK = re.compile(rf"^ \*   {_RUN}$", re.MULTILINE)
_VARIANT = re.compile(rf"^ \*   (?P<name>BROKEN_\w+) +{_RUN}  +(?P<broken>\S.*)$", re.MULTILINE)
_SAFE = ("-DSAFETY", "-DNOCLAIM")
_LIVE = ("-DNFAIR=4",)


class CheckerError(Exception):
    """Spin could not answer: it is missing, or the model is wrong, or it ran out of memory."""


@dataclass(frozen=True)
class Check:
    """A property of a model, which holds, or with `variant` must not."""

    model: str
    property: str
    options: tuple[str, ...]
    variant: str | None = None
    broken: str = ""

    def __str__(self) -> str:
        """Model, property, options, variant."""
        words = (self.model, self.property, *(option[2:] for option in self.options))
        return " ".join((*words, self.variant) if self.variant else words)


@dataclass(frozen=True)
class Answer:
    """Whether the property holds, in how many states, and the first lines of what was violated."""

    holds: bool
    states: int
    violation: str


def models() -> list[Path]:
    """The models, by name."""
    return sorted(FOLDER.glob("*.pml"))


def checks() -> list[Check]:
    """All checks of all models: what holds first, then its broken variants."""
    found = []
    for path in models():
        head = path.read_text(encoding="utf-8").partition("*/")[0]
        for match in (*_CHECK.finditer(head), *_VARIANT.finditer(head)):
            words = match.groupdict()
            options = tuple(words["options"].split())
            found.append(
                Check(
                    path.stem,
                    words["property"],
                    options,
                    words.get("name"),
                    words.get("broken") or "",
                )
            )
    return found


def missing_tool() -> str | None:
    """The program that a check needs and that is not there."""
    return next((tool for tool in ("spin", "cc") if shutil.which(tool) is None), None)


def run(check: Check, folder: Path) -> Answer:
    """Asks Spin, with its files in `folder`."""
    options = [*check.options, *([f"-D{check.variant}"] if check.variant else [])]
    _call(["spin", "-a", *options, str(FOLDER / f"{check.model}.pml")], folder)
    kind = _SAFE if check.property == "safe" else _LIVE
    compiler = ["cc", "-O1", "-w", "-DCOLLAPSE", f"-DMEMLIM={_MEMORY_MIB}", *kind]
    _call([*compiler, "-o", "pan", "pan.c"], folder)
    search = [] if check.property == "safe" else ["-a", "-f", "-N", check.property]
    output = _call(["./pan", f"-m{_DEPTH}", *search], folder)
    errors = re.search(r"errors: (\d+)", output)
    states = re.search(r"(\d+) states, stored", output)
    if errors is None or states is None:
        raise CheckerError(f"{check}: Spin's answer is not understood:\n{output}")
    holds = errors[1] == "0"
    if holds and re.search(r"not completed|too small|out of memory|reached -DMEMLIM", output):
        raise CheckerError(f"{check}: not all states were visited:\n{output}")
    violation = re.search(r"^pan:1: (.*)$", output, re.MULTILINE)
    return Answer(holds, int(states[1]), violation[1] if violation else "")


def _call(command: list[str], folder: Path) -> str:
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=False, timeout=_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise CheckerError(f"{' '.join(command)} did not end in {_SECONDS} s") from error
    output = done.stdout + done.stderr
    if done.returncode != 0:
        raise CheckerError(f"{' '.join(command)} failed:\n{output}")
    return output
