"""Makes the large inputs of programs.ini, the same bytes in every run and on every machine.

    python inputs.py FOLDER NAME

A file that is newer than this one is left as it is.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

ORDERS = 25_000
LINES_OF_WORDS = 100_000
ITEMS = 80_000
FUNCTIONS = 300
TASKS = 40
PIGEONS = 10
NODES = 700


def orders() -> Iterator[str]:
    """Orders with a few lines each, as JSON."""
    made = [
        {
            "id": i,
            "customer": f"customer {i * 7919 % 1999}",
            "note": f"note {i} " + "n" * (i % 60),
            "lines": [
                {"product": f"product {i * k % 4001}", "amount": k + i % 7, "price": (i + k) / 8}
                for k in range(1, 3 + i % 5)
            ],
        }
        for i in range(ORDERS)
    ]
    yield json.dumps(made)


def words() -> Iterator[str]:
    """Lines of words, some of which are everywhere and most of which are rare."""
    number = 1
    for _ in range(LINES_OF_WORDS):
        line = []
        for _ in range(9):
            number = number * 48_271 % 2_147_483_647
            rank = number % 40_000 * (number >> 8) % 40_000 * (number >> 16) % 40_000
            line.append(f"w{rank:x}or{rank * 31 % 977}d")
        yield " ".join(line) + "\n"


def catalogue() -> Iterator[str]:
    """Items with attributes and a few children, as XML."""
    yield '<?xml version="1.0"?>\n<catalogue>\n'
    for i in range(ITEMS):
        tags = "".join(f"<tag>tag {i * k % 97}</tag>" for k in range(1, 2 + i % 4))
        yield (
            f'<item id="i{i}" maker="maker {i * 7919 % 499}"><name>item {i * 31 % 10_007}</name>'
            f"<price>{i % 1000 / 8}</price>{tags}<text>{'text ' * (i % 12)}</text></item>\n"
        )
    yield "</catalogue>\n"


def module() -> Iterator[str]:
    """C functions with loops, calls and switches, which an optimiser has something to do with."""
    yield "struct pair { long left, right; struct pair *next; };\n"
    yield "long f0(long a, long b) { return a + b; }\n"
    for i in range(1, FUNCTIONS):
        cases = "".join(
            f"    case {k}: total += f{(k * 7919 + 31) % i}(k, total ^ {i * k}); break;\n"
            for k in range(8)
        )
        yield (
            f"long f{i}(long a, long b) {{\n"
            f"  struct pair made[{4 + i % 13}], *at = made;\n  long total = {i};\n"
            f"  for (int k = 0; k < {4 + i % 13}; k++) {{\n"
            f"    made[k].left = a * k + {i}; made[k].right = b - k;\n"
            f"    made[k].next = k ? made + k - 1 : 0;\n"
            f"    switch ((a + k) & 7) {{\n{cases}    }}\n  }}\n"
            f"  for (at = made + {3 + i % 13}; at; at = at->next) total += at->left * at->right;\n"
            f"  return total;\n}}\n"
        )


def schedule() -> Iterator[str]:
    """Tasks of different lengths on two machines by a deadline that can be met."""
    lengths = [3 + i * 7 % 11 for i in range(TASKS)]
    yield "(set-logic QF_LIA)\n"
    for i in range(TASKS):
        yield f"(declare-const s{i} Int)(declare-const m{i} Bool)(assert (>= s{i} 0))\n"
        yield f"(assert (<= (+ s{i} {lengths[i]}) {sum(lengths) * 51 // 100}))\n"
        for j in range(i):
            apart = f"(or (<= (+ s{i} {lengths[i]}) s{j}) (<= (+ s{j} {lengths[j]}) s{i}))"
            yield f"(assert (=> (= m{i} m{j}) {apart}))\n"
    yield "(check-sat)\n"


def pigeons() -> Iterator[str]:
    """One pigeon more than there are holes: unsatisfiable, and long to prove."""
    holes = PIGEONS - 1
    clauses = [[p * holes + h + 1 for h in range(holes)] for p in range(PIGEONS)]
    for hole in range(holes):
        here = [p * holes + hole + 1 for p in range(PIGEONS)]
        clauses += [[-a, -b] for a in here for b in here if a < b]
    yield f"p cnf {PIGEONS * holes} {len(clauses)}\n"
    yield from (f"{' '.join(map(str, clause))} 0\n" for clause in clauses)


def graph() -> Iterator[str]:
    """A graph whose layers cross."""
    yield "digraph g {\n"
    for i in range(1, NODES):
        yield f'  n{i} [label="node {i}\\nof {NODES}"];\n  n{i // 2} -> n{i};\n'
        if i % 2:
            yield f"  n{i * 31 % i} -> n{i};\n"
    yield "}\n"


MAKERS = {
    "orders.json": orders,
    "words.txt": words,
    "catalogue.xml": catalogue,
    "module.c": module,
    "schedule.smt2": schedule,
    "pigeons.cnf": pigeons,
    "graph.dot": graph,
}


def main(folder: str, name: str) -> None:
    """Writes one input."""
    path = Path(folder, name)
    if path.exists() and path.stat().st_mtime > Path(__file__).stat().st_mtime:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    with unfinished.open("w", encoding="ascii") as file:
        file.writelines(MAKERS[name]())
    unfinished.replace(path)


if __name__ == "__main__":
    main(*sys.argv[1:])
