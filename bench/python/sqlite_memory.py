"""A database in memory: filled, indexed, queried, changed, emptied. SQLite calls malloc itself."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from bench.python.harness import Report, main

LIVES = 2
ROWS = 160_000


def rows() -> Iterator[tuple[int, str, float, bytes]]:
    """Deterministic rows with texts and blobs of varied lengths."""
    for i in range(ROWS):
        name = f"name {(i * 7919) % 100_003}" + "x" * (i % 50)
        yield i, name, i / 7, bytes(20 + (i * 31) % 200)


def live() -> None:
    """One life of a database."""
    database = sqlite3.connect(":memory:")
    database.execute("create table item (id integer primary key, name text, value real, data blob)")
    database.executemany("insert into item values (?, ?, ?, ?)", rows())
    database.execute("create index by_name on item (name)")
    for number in range(0, 100_000, 40):
        query = "select id, name, data from item where name >= ? order by name limit 20"
        database.execute(query, (f"name {number}",)).fetchall()
    groups = database.execute("select id % 1000, sum(value), max(name) from item group by 1")
    assert len(groups.fetchall()) == 1000
    database.execute("update item set name = name || '!' where id % 5 = 0")
    database.execute("delete from item where id % 3 != 0")
    assert database.execute("select count(*) from item").fetchone()[0] > 0
    everything = database.execute("select * from item").fetchall()
    database.close()
    del everything


def workload(_: Report) -> None:
    """One database after the other."""
    for _life in range(LIVES):
        live()


if __name__ == "__main__":
    main(workload)
