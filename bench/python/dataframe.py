"""Tables loaded from CSV, grouped, joined and dropped, with pandas."""

from __future__ import annotations

import io

from bench.python.harness import Report, main, require

pandas = require("pandas")

ROWS = 120_000
ROUNDS = 8


def make_csv(seed: int) -> str:
    """A table with numbers and texts."""
    lines = ["id,city,product,amount,price"]
    lines += [
        f"{i},city {(i * 7919 + seed) % 997},product {(i * 31) % 4001},{i % 17},{i / 7:.3f}"
        for i in range(ROWS)
    ]
    return "\n".join(lines)


def workload(_: Report) -> None:
    """Load, compute, group, join, sort, drop."""
    for seed in range(ROUNDS):
        table = pandas.read_csv(io.StringIO(make_csv(seed)))
        table["total"] = table["amount"] * table["price"]
        by_city = table.groupby("city")["total"].agg(["sum", "mean", "max"])
        joined = table.merge(by_city, left_on="city", right_index=True)
        top = joined.sort_values(["sum", "total"], ascending=False)
        assert len(top) == ROWS
        assert len(top["product"].str.upper().unique()) == 4001


if __name__ == "__main__":
    main(workload)
