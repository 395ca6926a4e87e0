"""What the models say holds, holds; what they break is caught; what they follow exists."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT))

from proofs import checker  # noqa: E402

# A minute on a busy machine, and most of a gigabyte.
_LONG = "-DMUTATORS=2"
# A function, or a field that is one of the engine's, as comments and names of a model cite them.
_CITED = re.compile(r"\b([a-zA-Z_]\w*)\(\)|\b([A-Z]\w+)::(\w+)|\b(\w+_)(?= \*/)|\b(k[A-Z]\w+)")
# What belongs to no file of the engine: system calls, and words of the models.
_OUTSIDE = {"kNobody", "kAll"}


def _parameters() -> list[object]:
    return [
        pytest.param(
            check,
            marks=[pytest.mark.stress] if _LONG in check.options else [],
            id=str(check).replace(" ", "-"),
        )
        for check in checker.checks()
    ]


@pytest.mark.parametrize("check", _parameters())
def test_check(check: checker.Check, tmp_path: Path) -> None:
    if tool := checker.missing_tool():
        pytest.skip(f"{tool} is not there: {checker.INSTALL}")
    answer = checker.run(check, tmp_path)
    if check.variant is None:
        assert answer.holds, answer.violation
    else:
        assert not answer.holds, f"nothing noticed: {check.broken}"


def test_each_broken_variant_breaks_something_and_is_checked() -> None:
    for path in checker.models():
        head, _, model = path.read_text(encoding="utf-8").partition("*/")
        named = set(re.findall(r"BROKEN_\w+", head))
        assert named == set(re.findall(r"BROKEN_\w+", model)), path.name
        assert named == {c.variant for c in checker.checks() if c.model == path.stem and c.variant}


def _source(words: str, folders: list[str]) -> str:
    """What a model follows: all sources of the folders that its opening comment names."""
    assert folders, words
    files = [p for f in folders for p in (CHECKOUT / f).glob("*") if p.suffix in {".h", ".cc"}]
    files += [CHECKOUT / f for f in folders if (CHECKOUT / f).is_file()]
    return "\n".join(path.read_text(encoding="utf-8") for path in files)


@pytest.mark.parametrize("path", checker.models(), ids=lambda path: str(path.stem))
def test_what_a_model_cites_exists(path: Path) -> None:
    model = path.read_text(encoding="utf-8")
    follows = model.partition("* Follows")[2].partition("* Proved")[0]
    source = _source(model, re.findall(r"engine/[\w/]*\w(?:\.\w+)?", follows))
    for name in re.findall(r"\w+\.(?:cc|h)\b", follows):
        assert list((CHECKOUT / "engine").rglob(name)), f"{path.name} follows {name}: there is none"
    for listed in re.findall(r"\(([a-z_,\s*]+)\)", follows):
        for name in re.findall(r"\w+", listed):
            assert re.search(rf"\b{name}\(", source), f"{path.name}: the engine has no {name}()"
    for comment in re.findall(r"/\*.*?\*/", model, re.DOTALL):
        for function, owner, member, field, constant in _CITED.findall(comment):
            for name in filter(None, (function, owner, member, field, constant)):
                if name not in _OUTSIDE:
                    assert re.search(rf"\b{name}\b", source), (
                        f"{path.name}: the engine has no {name}"
                    )


def test_a_run_that_did_not_see_everything_is_no_proof(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if tool := checker.missing_tool():
        pytest.skip(f"{tool} is not there: {checker.INSTALL}")
    monkeypatch.setattr(checker, "_DEPTH", 20)
    with pytest.raises(checker.CheckerError, match="not all states"):
        checker.run(checker.Check("sleep", "safe", ()), tmp_path)
