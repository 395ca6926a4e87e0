"""Three ways to examine: a process from outside, a Python from inside, a command as it starts."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from trimalloc.diagnosis import verdict
from trimalloc.diagnosis.bindings import bindings_in_log, bindings_of
from trimalloc.diagnosis.escapes import find_escapes
from trimalloc.diagnosis.verdict import Diagnosis
from trimalloc.memory_maps import read_maps
from trimalloc.sizes import format_size
from trimalloc.snapshot import stats

_PROBE = Path(__file__).with_name("probe.py")
_PROBE_SECONDS = 30.0
_END_SECONDS = 5.0


def examine_process(pid: int) -> Diagnosis:
    """Examine a running process from outside. Raises OSError where it cannot be read at all."""
    diagnosis = Diagnosis(f"process {pid}")
    try:
        files = {mapping.path for mapping in read_maps(pid) if mapping.is_file}
    except FileNotFoundError:
        raise ProcessLookupError(errno.ESRCH, f"there is no process {pid}") from None
    except PermissionError:
        raise PermissionError(
            errno.EPERM, f"process {pid} belongs to another user: run this as that user, or as root"
        ) from None
    if not any(verdict.is_ours(path) for path in files):
        diagnosis.verdict = verdict.NOT_IN_USE
        diagnosis.evidence.append("libtrimalloc.so is not mapped")
    else:
        diagnosis.evidence.append("libtrimalloc.so is mapped")
        _examine_memory(diagnosis, pid)
    diagnosis.escapes = find_escapes(path for path in files if ".so" in path or "python" in path)
    return diagnosis


def _examine_memory(diagnosis: Diagnosis, pid: int) -> None:
    try:
        verdict.judge_bindings(diagnosis, bindings_of(pid))
        snapshot = stats(pid)
    except OSError as error:
        diagnosis.evidence.append(f"its memory cannot be read: {error.strerror}")
        return
    diagnosis.evidence.append(f"the program holds {format_size(snapshot.in_use)} on trimalloc")
    owners = "processors" if snapshot.caches_by_processor else "threads"
    diagnosis.evidence.append(f"its caches belong to {owners}; there are {snapshot.thread_caches}")
    diagnosis.mode = _environment_mode(pid)


def _environment_mode(pid: int) -> str | None:
    """Return the mode that the process was started with; None when the library chose it."""
    try:
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return None
    modes = [
        entry.partition(b"=")[2] for entry in variables if entry.startswith(b"TRIMALLOC_MODE=")
    ]
    return modes[0].decode(errors="replace") if modes else None


def examine_python(diagnosis: Diagnosis, python: str, environment: Mapping[str, str]) -> None:
    """Start ``python`` in ``environment``, ask its allocators for memory, and judge whose it is."""
    try:
        done = subprocess.run(
            [python, "-S", str(_PROBE)],
            env=dict(environment),
            capture_output=True,
            text=True,
            timeout=_PROBE_SECONDS,
            check=True,
        )
        result = json.loads(done.stdout.splitlines()[-1])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError) as error:
        diagnosis.evidence.append(f"{python} could not be probed: {error}")
        return
    verdict.judge_probe(diagnosis, result)


def examine_command(
    diagnosis: Diagnosis, command: Sequence[str], environment: Mapping[str, str], seconds: float
) -> None:
    """Run ``command`` for at most ``seconds`` and judge by what the loader binds meanwhile.

    Its output goes to our stderr, so that a report on stdout stays alone. What is still running
    then is ended by SIGTERM.
    """
    with tempfile.TemporaryDirectory(prefix="trimalloc-doctor-") as directory:
        log = Path(directory) / "loader"
        variables = {**environment, "LD_DEBUG": "bindings,libs", "LD_DEBUG_OUTPUT": str(log)}
        with subprocess.Popen(
            command, env=variables, stdin=subprocess.DEVNULL, stdout=2
        ) as process:
            ended = _wait_and_end(process, seconds)
        diagnosis.evidence.append(ended)
        # A child process writes a log of its own; the command's is the one with its number.
        own_log = log.with_name(f"{log.name}.{process.pid}")
        if not own_log.exists():
            diagnosis.evidence.append("the dynamic loader wrote no log of its bindings")
            return
        lines = own_log.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    verdict.judge_bindings(diagnosis, bindings_in_log(lines))
    loaded = {line.partition("calling init: ")[2] for line in lines if "calling init: " in line}
    diagnosis.escapes = find_escapes(path for path in loaded if os.path.isabs(path))  # noqa: PTH117


def _wait_and_end(process: subprocess.Popen[bytes], seconds: float) -> str:
    """Return how the process ended, as a sentence."""
    try:
        return f"the command ended with status {process.wait(timeout=seconds)}"
    except subprocess.TimeoutExpired:
        process.terminate()
    try:
        process.wait(timeout=_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
    return f"the command ran for {seconds:g} s and was ended"
