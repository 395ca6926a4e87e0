"""The comparison as text, JSON, HTML and PNG."""

from __future__ import annotations

import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from python.compare.fakes import GLIBC, JEMALLOC, OURS, comparison, result
from trimalloc.comparison.rounds import Comparison
from trimalloc.comparison.run import RunResult
from trimalloc.exporters import compare_html, compare_json, compare_svg, compare_text
from trimalloc.plots import require_matplotlib

VOID_ELEMENTS = {"meta", "br", "hr", "img", "input", "link"}


@pytest.fixture
def measured() -> Comparison:
    return comparison(
        result(OURS, 150, 50, requests_per_second=900),
        result(GLIBC, 200, 180, requests_per_second=800),
        RunResult("jemalloc", 0, error="exit status 3: <boom>"),
        command=("python", "-c", "print('</script><b>')"),
    )


class Checker(HTMLParser):
    """Checks nesting, and collects everything a browser would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.fetched += [value or "" for name, value in attrs if name in {"src", "href", "data"}]
        if tag not in VOID_ELEMENTS:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID_ELEMENTS:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag


class TestHtml:
    def test_is_well_formed_and_needs_nothing_else(self, measured: Comparison) -> None:
        page = compare_html.render(measured)
        checker = Checker()
        checker.feed(page)
        assert checker.open == []
        assert checker.fetched == []
        assert not re.search(r"url\(|@import|https?://", page)
        assert {"svg", "table", "polyline", "rect"} <= checker.seen

    def test_follows_light_and_dark(self, measured: Comparison) -> None:
        assert "prefers-color-scheme: dark" in compare_html.render(measured)

    def test_text_from_outside_is_escaped(self, measured: Comparison) -> None:
        page = compare_html.render(measured)
        assert "<boom>" not in page
        assert "<b>&#x27;" not in page
        assert "a &lt;fast&gt; CPU" in page

    def test_names_what_failed_and_what_is_missing(self, measured: Comparison) -> None:
        page = compare_html.render(measured)
        assert "exit status 3" in page
        assert "apt install libmimalloc2.0" in page

    def test_holds_the_curves_for_the_pointer(self, measured: Comparison) -> None:
        page = compare_html.render(measured)
        found = re.search(r'id="samples">(.*?)</script>', page)
        assert found is not None
        runs = json.loads(found[1])["runs"]
        assert [name for name, _ in runs] == ["trimalloc-full", "glibc"]

    def test_without_any_run(self) -> None:
        checker = Checker()
        checker.feed(compare_html.render(comparison()))
        assert checker.open == []


class TestSvg:
    @pytest.mark.parametrize(
        ("highest", "expected"),
        [(0.0, [0, 1]), (10.0, [0, 2, 4, 6, 8, 10]), (283.0, [0, 50, 100, 150, 200, 250, 300])],
    )
    def test_ticks_are_round_and_reach_the_highest(
        self, highest: float, expected: list[float]
    ) -> None:
        assert compare_svg.ticks(highest) == expected

    def test_thinning_keeps_the_peak(self) -> None:
        samples = [(moment / 100, 1) for moment in range(5000)]
        samples[2501] = (25.01, 999)
        thinned = compare_svg.thin(samples)
        assert len(thinned) <= 600
        assert (25.01, 999) in thinned


class TestText:
    def test_shows_figures_and_ratios(self, measured: Comparison) -> None:
        text = compare_text.render(measured, width=160)
        assert re.search(r"trimalloc-full .* 150 +0.75x .* 50.0 +0.28x .* 900 +1.12x", text)
        assert "jemalloc failed: exit status 3: <boom>" in text
        assert "mimalloc is missing: apt install libmimalloc2.0" in text

    def test_fits_a_narrow_terminal(self, measured: Comparison) -> None:
        table = compare_text.render(measured, width=60).partition("Each cell")[0]
        assert max(map(len, table.splitlines())) <= 60
        assert table.count("trimalloc-full") > 1

    def test_says_why_nothing_was_seen_after_idling(self) -> None:
        text = compare_text.render(comparison(result(GLIBC, 200)), width=160)
        assert "RSS after idle could not be seen" in text


def test_json_has_every_run_and_the_summary(measured: Comparison) -> None:
    document = json.loads(compare_json.render(measured))
    assert [run["allocator"] for run in document["runs"]] == [
        "trimalloc-full",
        "glibc",
        "jemalloc",
    ]
    assert document["runs"][0]["samples"][1] == [0.15, 150 << 20]
    assert document["summary"][0]["figures"]["peak_bytes"]["ratio"] == 0.75
    assert document["machine"]["cpus"] == 2


def test_png_is_drawn_without_a_display(measured: Comparison, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from trimalloc.plots import compare_png

    compare_png.write(measured, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_the_way_to_get_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trimalloc.plots.find_spec", lambda _name: None)
    with pytest.raises(ValueError, match=r"pip install 'trimalloc\[plots\]'"):
        require_matplotlib()


def test_reports_load_no_drawing_library(measured: Comparison) -> None:
    compare_html.render(measured)
    assert "matplotlib.pyplot" not in sys.modules


def test_jemalloc_has_a_row_only_when_it_ran(measured: Comparison) -> None:
    table = compare_text.render(measured, width=160).partition("Each cell")[0]
    assert JEMALLOC.name not in table
