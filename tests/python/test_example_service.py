"""examples/service: runs, reports, and drops what its sessions held."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

MAIN = Path(__file__).parents[2] / "examples" / "service" / "main.py"

for needed in ("starlette", "uvicorn", "httpx", "numpy"):
    pytest.importorskip(needed)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, object]]:
    """The report of a short run."""
    path = tmp_path_factory.mktemp("service") / "report.jsonl"
    done = subprocess.run(
        [sys.executable, str(MAIN), "--requests", "160", "--users", "8", "--seconds-quiet", "0.2"],
        env={**os.environ, "TRIMALLOC_COMPARE_REPORT": str(path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_phases_come_in_order(report: list[dict[str, object]]) -> None:
    phases = [entry["phase"] for entry in report if "phase" in entry]
    assert phases == ["warm-up", "burst", "quiet", "exit"]


def test_the_client_is_not_counted(report: list[dict[str, object]]) -> None:
    assert isinstance(report[0]["not_counted"], int)


def test_figures_are_reported(report: list[dict[str, object]]) -> None:
    (metrics,) = (entry["metrics"] for entry in report if "metrics" in entry)
    assert isinstance(metrics, dict)
    assert set(metrics) == {"requests_per_second", "p50_ms", "p99_ms"}
    assert 0 < metrics["p50_ms"] <= metrics["p99_ms"]


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> None:
    """The service's modules can be imported."""
    monkeypatch.syspath_prepend(str(MAIN.parent))


@pytest.mark.usefixtures("service")
def test_the_load_is_the_same_in_every_run() -> None:
    from load import bodies, calls

    documents = bodies(seed=1, count=10)
    assert documents == bodies(seed=1, count=10)
    once, again = (list(calls(3, 1, 50, documents)) for _ in range(2))
    assert once == again
    assert len(once) == 50
    assert once != list(calls(4, 1, 50, documents))


@pytest.mark.usefixtures("service")
def test_sessions_expire_when_their_user_has_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    import sessions as module

    now = 100.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    sessions = module.Sessions()
    sessions.of("early")
    now += 1.1
    sessions.of("late")
    now += 0.15
    assert sessions.sweep() == 1
    now += 1.2
    assert sessions.sweep() == 0
