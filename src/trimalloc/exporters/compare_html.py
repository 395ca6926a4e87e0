"""A comparison as one HTML file that needs nothing else: no network, no library, no font."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from trimalloc.comparison import palette
from trimalloc.comparison.allocators import BASELINE, OURS
from trimalloc.comparison.rounds import Comparison
from trimalloc.comparison.run import RunResult
from trimalloc.comparison.summary import (
    CPU,
    IDLE,
    MEGABYTE,
    PEAK,
    TIME,
    Measure,
    Row,
    summarize,
    typical_run,
)
from trimalloc.exporters import compare_svg
from trimalloc.exporters.compare_text import ABSENT, format_value, heading

_HERE = Path(__file__).parent


def render(comparison: Comparison) -> str:
    """The page."""
    measures, rows = summarize(comparison)
    complete = [row for row in rows if any(row.figures.values())]
    typical = (typical_run(comparison.results_of(one)) for one in comparison.allocators)
    runs = [run for run in typical if run is not None]
    body = [
        *_head(comparison),
        *_cards(measures, complete),
        *_curves(runs),
        *_bars(complete),
        *_table(comparison, measures, complete),
        *_troubles(comparison, rows),
        *_facts(comparison),
    ]
    style = _colours() + (_HERE / "compare.css").read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"/>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>'
        f"<title>trimalloc compare: {escape(_command(comparison))}</title>"
        f"<style>\n{style}</style></head>\n<body><main>\n"
        + "\n".join(body)
        + "\n</main></body></html>\n"
    )


def _colours() -> str:
    """The variables that the drawings take their colours from."""
    light, dark = (
        " ".join(f"--{name}: {pair[index]};" for name, pair in palette.COLOURS.items())
        + f" --other: {palette.OTHER[index]};"
        for index in (0, 1)
    )
    return f":root {{ {light} }}\n@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"


def _command(comparison: Comparison) -> str:
    return shlex.join(comparison.task.command)


def _head(comparison: Comparison) -> Iterator[str]:
    runs = "one run each" if comparison.rounds == 1 else f"{comparison.rounds} interleaved rounds"
    ended = ", interrupted" if comparison.interrupted else ""
    yield "<h1>One program, every allocator</h1>"
    moment = escape(comparison.started[:16].replace("T", " "))
    yield f'<div class="soft">{moment} · {runs}{ended}</div>'
    yield f"<pre><code>{escape(_command(comparison))}</code></pre>"


def _cards(measures: Sequence[Measure], rows: Sequence[Row]) -> Iterator[str]:
    """The main figures of our first mode that ran, beside the baseline and the best other."""
    ours = next((row for row in rows if row.name in OURS), None)
    if ours is None:
        return
    yield '<div class="cards">'
    for measure in (IDLE, PEAK, TIME, CPU, *measures[4:]):
        figure = ours.figures.get(measure.key)
        if figure is None:
            continue
        beside = [f"{figure.ratio:.2f} × {BASELINE}"] if figure.ratio is not None else []
        others = [
            (other.value, row)
            for row in rows
            if row.name not in OURS and (other := row.figures[measure.key])
        ]
        if others and measure in (IDLE, PEAK, TIME, CPU):
            best = min(others, key=lambda other: other[0])[1]
            figure_there = format_value(best.figures[measure.key], measure)
            beside.append(f"best other: {escape(best.name)} {figure_there}")
        title = escape(f"{measure.title}, {ours.name}")
        value = f"{format_value(figure, measure)} <small>{measure.unit}</small>"
        yield (
            f'<div class="card"><div class="title">{title}</div><div class="value">{value}</div>'
            f'<div class="beside">{" · ".join(beside)}</div></div>'
        )
    yield "</div>"


def _curves(runs: Sequence[RunResult]) -> Iterator[str]:
    if not runs:
        return
    plot = compare_svg.plot_for(runs)
    data = {
        "left": plot.left,
        "right": plot.right,
        "seconds": plot.seconds,
        "runs": [
            (
                run.allocator,
                [
                    (round(moment, 3), round(size / MEGABYTE, 1))
                    for moment, size in compare_svg.thin(run.samples)
                ],
            )
            for run in runs
        ],
    }
    # "</" inside the data could end the script element.
    text = json.dumps(data, separators=(",", ":")).replace("</", "<\\/")
    yield "<h2>Resident memory over time</h2>"
    yield (
        '<p class="soft">VmRSS of the process and its children, every 50 ms; of each allocator the '
        "run whose memory after idling is in the middle. Dots mark where its phases began.</p>"
    )
    yield f'<figure>{compare_svg.curves(runs)}<div id="reading"></div></figure>'
    yield f'<script type="application/json" id="samples">{text}</script>'
    yield f"<script>\n{(_HERE / 'compare.js').read_text(encoding='utf-8')}</script>"


def _bars(rows: Sequence[Row]) -> Iterator[str]:
    if not rows:
        return
    yield "<h2>What goes back</h2>"
    yield '<p class="soft">Resident after idling (full) of the peak (pale); medians.</p>'
    yield f"<figure>{compare_svg.bars(rows)}</figure>"


def _table(
    comparison: Comparison, measures: Sequence[Measure], rows: Sequence[Row]
) -> Iterator[str]:
    if not rows:
        return
    yield "<h2>All figures</h2>"
    spread = ", ± half of highest less lowest" if comparison.rounds > 1 else ""
    yield f'<p class="soft">Medians; below them the ratio to {BASELINE}{spread}.</p>'
    headings = "".join(f"<th>{escape(heading(measure))}</th>" for measure in measures)
    yield f'<div class="scroll"><table><thead><tr><th></th>{headings}</tr></thead><tbody>'
    for row in rows:
        mark = ' class="ours"' if row.name in OURS else ""
        swatch = f'<span class="swatch" style="background:{compare_svg.colour(row.name)}"></span>'
        cells = "".join(_cell(row, measure) for measure in measures)
        yield f"<tr{mark}><td>{swatch}{escape(row.name)}</td>{cells}</tr>"
    yield "</tbody></table></div>"


def _cell(row: Row, measure: Measure) -> str:
    figure = row.figures[measure.key]
    if figure is None:
        return f"<td>{ABSENT}</td>"
    notes = [f"{figure.ratio:.2f} ×"] if figure.ratio is not None else []
    if figure.spread is not None:
        notes.append(f"± {figure.spread * 50:.0f} %")
    return f"<td>{format_value(figure, measure)}<small>{' · '.join(notes)}</small></td>"


def _troubles(comparison: Comparison, rows: Sequence[Row]) -> Iterator[str]:
    failed = '<span class="failed">failed</span>'
    lines = [
        f"<li><b>{escape(row.name)}</b> {failed}: {escape(row.error)}</li>"
        for row in rows
        if row.error is not None
    ]
    lines += [
        f"<li><b>{escape(one.name)}</b> is missing: {escape(one.remedy)}</li>"
        for one in comparison.missing
    ]
    if lines:
        yield "<h2>Not measured</h2>"
        yield f"<ul>{''.join(lines)}</ul>"


def _facts(comparison: Comparison) -> Iterator[str]:
    machine = comparison.machine
    proofs = {result.allocator: result.proof for result in comparison.results if result.proof}
    facts = [
        ("processor", f"{machine.processor}, {machine.cpus} CPUs"),
        ("memory", f"{machine.memory_bytes / (1 << 30):.1f} GiB"),
        ("kernel", f"Linux {machine.kernel}, {machine.libc}"),
        ("Python", machine.python or "not a Python program"),
        *(
            (name, f"{version}; {proofs.get(name, 'not run')}")
            for name, version in machine.versions.items()
        ),
    ]
    yield "<h2>Measured on</h2>"
    yield (
        '<p class="soft">What follows an allocator\'s version was read from the running process: '
        "its maps and its environment.</p>"
    )
    lines = (f"<tr><td>{escape(name)}</td><td>{escape(text)}</td></tr>" for name, text in facts)
    yield f'<table class="facts"><tbody>{"".join(lines)}</tbody></table>'
