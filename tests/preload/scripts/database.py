"""SQLite in memory and in a file: indexes, joins, big blobs, rollbacks, several threads."""

from __future__ import annotations

import random
import sqlite3
import tempfile
import threading
from pathlib import Path

ROWS = 40_000


def fill(db: sqlite3.Connection) -> None:
    """Make tables with text, blobs and indexes."""
    numbers = random.Random(7)
    db.execute("create table item(id integer primary key, name text, size integer, data blob)")
    rows = ((i, f"name {i % 1000}", i % 977, numbers.randbytes(i % 400)) for i in range(ROWS))
    db.executemany("insert into item values(?, ?, ?, ?)", rows)
    db.execute("create index by_name on item(name, size)")
    db.execute("create table sized as select size, count(*) as n from item group by size")
    db.commit()


def query(db: sqlite3.Connection) -> None:
    """Sort, join, change and roll back."""
    joined = "select count(*) from item join sized using(size) where item.name like 'name 1%'"
    expected = sum(str(i % 1000).startswith("1") for i in range(ROWS))
    assert db.execute(joined).fetchone() == (expected,)
    assert len(db.execute("select * from item order by data").fetchall()) == ROWS
    db.execute("update item set data = data || data || zeroblob(3000) where id % 7 = 0")
    db.rollback()
    db.execute("insert into item values(?, 'big', 0, ?)", (ROWS, bytes(5_000_000)))
    assert db.execute("select length(data) from item where name = 'big'").fetchone() == (5_000_000,)
    db.execute("delete from item where id % 3 = 0")
    db.commit()
    assert db.execute("pragma integrity_check").fetchone() == ("ok",)


def whole_life(path: str) -> None:
    """One database from its making to its closing."""
    db = sqlite3.connect(path)
    fill(db)
    query(db)
    db.close()


with tempfile.TemporaryDirectory() as folder:
    paths = [":memory:", ":memory:", str(Path(folder) / "file.db")]
    threads = [threading.Thread(target=whole_life, args=(path,)) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
