"""Log lines generated, cut up by regular expressions, counted, sorted and written again."""

from __future__ import annotations

import re
from collections import Counter, defaultdict

from bench.python.harness import Report, main

LINES = 90_000
LINE = re.compile(
    r'(?P<host>\S+) \[(?P<at>[^\]]+)\] "(?P<verb>\w+) (?P<path>\S+)" (?P<status>\d+) (?P<size>\d+)'
)
NUMBER = re.compile(r"\d+")


def make_log() -> str:
    """The log as one text of some 8 MB."""
    verbs = ("GET", "POST", "PUT", "DELETE")
    return "\n".join(
        f"10.{i % 7}.{i % 251}.{i % 13} [2024-01-{i % 28 + 1:02} 12:{i % 60:02}] "
        f'"{verbs[i % 4]} /items/{i * 7919 % 10_007}/part/{i % 17}?q={i}" {200 + i % 5} {i * 31}'
        for i in range(LINES)
    )


def analyse(log: str) -> str:
    """One pass: match, group, replace, sort, render."""
    hits: Counter[str] = Counter()
    paths: defaultdict[str, list[str]] = defaultdict(list)
    for line in log.splitlines():
        match = LINE.match(line)
        assert match is not None
        fields = match.groupdict()
        hits[fields["host"]] += int(fields["size"])
        paths[NUMBER.sub("N", fields["path"].partition("?")[0])].append(fields["path"])
    words = sorted(set(re.split(r"[\s/?\"]+", log)))
    busiest = "\n".join(f"{host}\t{size}" for host, size in hits.most_common())
    return busiest + "\n".join(words).translate(str.maketrans("0123456789", "abcdefghij"))


def workload(_: Report) -> None:
    """The same log twice, the first result alive during the second."""
    log = make_log()
    results = [analyse(log) for _ in range(2)]
    assert results[0] == results[1]


if __name__ == "__main__":
    main(workload)
