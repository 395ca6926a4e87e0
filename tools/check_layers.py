"""Checks which parts of the project may know of which others. `python tools/check_layers.py`.

Engine: a file includes only from its own layer and those under it, by path from the root; no front
end reaches into another; what differs between machines and builds (#if) is in platform/.

Python: cli -> exporters, plots -> comparison, diagnosis -> the API modules -> _native, never back;
nothing but the standard library, except matplotlib in plots/.

The exceptions are listed here, each with its reason; one that is no longer needed is an error too.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ENGINE_LAYERS = (
    "base",
    "platform",
    "metadata",
    "pages",
    "central",
    "cache",
    "observe",
    "frontends",
)
# The public headers, each with the lowest layer that may speak in its terms.
PUBLIC_HEADERS = {
    "include/trimalloc/trimalloc.h": "observe",
    "include/trimalloc/heap.h": "frontends",
    "include/trimalloc/containers.h": "frontends",
}

# (including file or folder, included): why.
INCLUDE_EXCEPTIONS = {
    ("engine/frontends/pymalloc_arenas/", "engine/frontends/malloc/engine.h"): (
        "CPython's allocators are put on malloc's fast paths"
    ),
    ("engine/frontends/pymalloc_arenas/", "engine/frontends/malloc/settings.h"): (
        "which of them are is a setting"
    ),
    ("engine/frontends/malloc/api.cc", "engine/frontends/pymalloc_arenas/hooks.h"): (
        "the public table of functions also tells which mode was hooked"
    ),
    ("engine/frontends/malloc/api.cc", "engine/frontends/pools/c_interface.h"): (
        "the public table of functions has those of pools"
    ),
    ("engine/frontends/malloc/background.cc", "engine/frontends/pools/pools.h"): (
        "the background thread looks after pools, too"
    ),
    ("engine/frontends/malloc/process.cc", "engine/frontends/pools/pools.h"): (
        "fork takes the locks of pools before those of the tiers"
    ),
    ("engine/frontends/pools/", "engine/frontends/malloc/engine.h"): (
        "chunks are blocks of this engine"
    ),
    ("engine/frontends/pools/c_interface.cc", "engine/frontends/malloc/background.h"): (
        "what comes back to a pool wakes the background thread"
    ),
}

# (file, name in the condition): why.
CONDITIONAL_EXCEPTIONS = {
    ("engine/base/check.h", "TRIMALLOC_DEBUG"): "assertions are compiled in or not",
    ("engine/frontends/malloc/engine.cc", "TRIMALLOC_PRELOAD"): (
        "only the preloaded library has a symbol that other processes look for"
    ),
    ("engine/frontends/malloc/api.cc", "TRIMALLOC_PRELOAD"): (
        "the two libraries offer the same table under different names"
    ),
}

# (module file, imported): why.
IMPORT_EXCEPTIONS = {
    ("src/trimalloc/comparison/hold/sitecustomize.py", "sitecustomize"): (
        "the one of the same name that it stands in front of"
    ),
}

PYTHON_LAYERS = ("native", "API", "comparison and diagnosis", "exporters and plots", "cli")
_PACKAGE_LAYER = {"comparison": 2, "diagnosis": 2, "exporters": 3, "plots": 3, "cli": 4}
# Folder of the package: what it may import from PyPI.
THIRD_PARTY = {"plots": {"matplotlib"}}

_INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)
_CONDITIONAL = re.compile(r"^\s*#\s*(?:if|ifdef|ifndef|elif)\b(.*)$", re.MULTILINE)


@dataclass
class Findings:
    """What is wrong, and which exceptions were needed."""

    problems: list[str] = field(default_factory=list)
    used: set[tuple[str, str]] = field(default_factory=set)

    def excused(self, table: dict[tuple[str, str], str], where: str, what: str) -> bool:
        """Whether `table` has an exception for `what` in the file `where`; notes its use."""
        for place, subject in table:
            matches = where.startswith(place) if place.endswith("/") else where == place
            if matches and subject == what:
                self.used.add((place, subject))
                return True
        return False


# --- the engine -----------------------------------------------------------------------------------


def _engine_layer(path: str) -> str | None:
    parts = path.split("/")
    return parts[1] if parts[0] == "engine" and parts[1] in ENGINE_LAYERS else None


def _front_end(path: str) -> str | None:
    """Return the front end a file belongs to; those directly in frontends/ stand above them all."""
    parts = path.split("/")
    return parts[2] if parts[1] == "frontends" and len(parts) > 3 else None


def _judge_include(source: str, included: str) -> str | None:
    """Say what is wrong with `source` including `included`, if anything is."""
    layer = _engine_layer(source)
    if layer is None:
        return "lies in no layer"
    if included in PUBLIC_HEADERS:
        allowed = ENGINE_LAYERS.index(layer) >= ENGINE_LAYERS.index(PUBLIC_HEADERS[included])
        return None if allowed else f"{layer}/ must not know the public header {included}"
    other = _engine_layer(included)
    if other is None:
        return f'includes "{included}", which is no path from the root into a layer'
    if ENGINE_LAYERS.index(other) > ENGINE_LAYERS.index(layer):
        return f"includes {included}: {layer}/ lies under {other}/"
    here, there = _front_end(source), _front_end(included)
    if other == "frontends" and here is not None and here != there:
        return f"includes {included}: front ends do not reach into each other"
    return None


def check_engine(root: Path, findings: Findings) -> None:
    """Check the includes and conditions of every file under engine/."""
    for path in sorted((root / "engine").rglob("*")):
        if path.suffix not in (".h", ".c", ".cc"):
            continue
        source = path.relative_to(root).as_posix()
        text = path.read_text(encoding="utf-8")
        for included in _INCLUDE.findall(text):
            problem = _judge_include(source, included)
            if problem and not findings.excused(INCLUDE_EXCEPTIONS, source, included):
                findings.problems.append(f"{source} {problem}")
        if _engine_layer(source) == "platform":
            continue
        for condition in _CONDITIONAL.findall(text):
            name = condition.strip()
            if not findings.excused(CONDITIONAL_EXCEPTIONS, source, name):
                findings.problems.append(f"{source} has #if {name}: that belongs into platform/")


# --- the Python package ---------------------------------------------------------------------------


def _imports(tree: ast.Module, package: str) -> Iterator[str]:
    """Yield the full name of everything a module imports, wherever the import stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, *([base] if base else [])])
            # `from trimalloc import _native` imports a module, `from x import name` a name of one.
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _python_layer(module: str) -> int:
    parts = module.split(".")
    if len(parts) > 1 and parts[1] == "_native":
        return 0
    return _PACKAGE_LAYER.get(parts[1], 1) if len(parts) > 1 else 1


def check_python(root: Path, findings: Findings) -> None:
    """Check the imports of every module under src/trimalloc/."""
    source_root = root / "src"
    for path in sorted((source_root / "trimalloc").rglob("*.py")):
        relative = path.relative_to(source_root)
        package = ".".join(relative.parent.parts)
        module = f"{package}.{path.stem}"
        if module == "trimalloc.__main__":
            continue  # only starts cli
        tree = ast.parse(path.read_text(encoding="utf-8"))
        where = f"src/{relative.as_posix()}"
        for imported in sorted(set(_imports(tree, package))):
            problem = _judge_import(module, imported)
            if problem and not findings.excused(IMPORT_EXCEPTIONS, where, imported):
                findings.problems.append(f"{where} {problem}")


def _judge_import(module: str, imported: str) -> str | None:
    top = imported.split(".", maxsplit=1)[0]
    if top != "trimalloc":
        folder = module.split(".")[1]
        known = top in sys.stdlib_module_names or top in THIRD_PARTY.get(folder, set())
        return None if known else f"imports {imported}, which is not in the standard library"
    here, there = _python_layer(module), _python_layer(imported)
    if there > here:
        return f"imports {imported}: {PYTHON_LAYERS[here]} lies under {PYTHON_LAYERS[there]}"
    return None


def check(root: Path) -> list[str]:
    """Return what is wrong with the checkout at `root`, a line each."""
    findings = Findings()
    check_engine(root, findings)
    check_python(root, findings)
    tables = (INCLUDE_EXCEPTIONS, CONDITIONAL_EXCEPTIONS, IMPORT_EXCEPTIONS)
    exceptions = {exception for table in tables for exception in table}
    for place, subject in sorted(exceptions - findings.used):
        findings.problems.append(f"the exception for {subject} in {place} is not needed")
    return findings.problems


def main() -> int:
    """Check the checkout that this file is in."""
    problems = check(Path(__file__).resolve().parents[1])
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
