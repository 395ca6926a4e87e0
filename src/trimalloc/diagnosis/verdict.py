"""The diagnosis of a process: evidence, gathered in one of three ways, and the verdict on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from trimalloc.diagnosis.escapes import Escape

IN_USE, NOT_IN_USE, UNKNOWN = "in use", "not in use", "unknown"


@dataclass
class Diagnosis:
    """What was found out about one process or command.

    ``bindings`` says whose malloc each file calls; ``served`` what a probe inside the interpreter
    was given, by allocator; ``evidence`` the same in sentences, in the order it was found.
    """

    subject: str
    verdict: str = UNKNOWN
    mode: str | None = None
    evidence: list[str] = field(default_factory=list)
    served: dict[str, bool] = field(default_factory=dict)
    bindings: dict[str, str] = field(default_factory=dict)
    escapes: list[Escape] = field(default_factory=list)


def is_ours(path: str) -> bool:
    """Return whether ``path`` is a copy of the preload library."""
    return Path(path).name == "libtrimalloc.so"


def judge_bindings(diagnosis: Diagnosis, bindings: Mapping[str, str]) -> None:
    """Add what the bindings prove. Our own library's and the loader's calls do not count."""
    relevant = {
        path: provider
        for path, provider in bindings.items()
        if not is_ours(path) and not Path(path).name.startswith("ld-linux")
    }
    diagnosis.bindings.update(relevant)
    if not relevant:
        return
    others = {path: provider for path, provider in relevant.items() if not is_ours(provider)}
    diagnosis.evidence.append(
        f"malloc of {len(relevant) - len(others)} of {len(relevant)} files is bound to "
        "libtrimalloc.so"
    )
    for path, provider in sorted(others.items()):
        diagnosis.evidence.append(
            f"{path} calls malloc of {provider}: loaded with RTLD_DEEPBIND, or linked to its own"
        )
    diagnosis.verdict = IN_USE if len(others) < len(relevant) else NOT_IN_USE


def judge_probe(diagnosis: Diagnosis, result: Mapping[str, object]) -> None:
    """Add what the probe found, as probe.py prints it."""
    if not result["preloaded"]:
        diagnosis.verdict = NOT_IN_USE
        diagnosis.evidence.append(f"Python {result['python']}: libtrimalloc.so is not loaded")
        return
    diagnosis.mode = str(result["mode"])
    served = result["served"]
    assert isinstance(served, dict)
    diagnosis.served.update(served)
    ours = [name for name, is_served in served.items() if is_served]
    others = [name for name, is_served in served.items() if not is_served]
    diagnosis.evidence.append(
        f"Python {result['python']}: addresses in trimalloc's arena came from "
        f"{', '.join(ours) or 'nothing'}"
    )
    if others:
        diagnosis.evidence.append(f"addresses outside it came from {', '.join(others)}")
    malloc_is_ours = all(is_served for name, is_served in served.items() if name[:7] == "malloc(")
    diagnosis.verdict = IN_USE if malloc_is_ours else NOT_IN_USE
