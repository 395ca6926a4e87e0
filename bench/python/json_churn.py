"""JSON documents parsed, changed and written again: a web service's daily bread.

Documents of about 250 KB; the last eight stay alive, so that new ones are built between old ones.
"""

from __future__ import annotations

import json
from collections import deque

from bench.python.harness import Report, main

ROUNDS = 60
RECORDS = 600


def make_document(seed: int) -> dict[str, object]:
    """A document as an API returns it: records with nested lists and mappings."""
    records = [
        {
            "id": seed * RECORDS + i,
            "name": f"customer-{(seed * 7919 + i * 104729) % 1_000_003}",
            "tags": [f"tag{(i * k) % 97}" for k in range(1, 6)],
            "position": {"x": i / 7, "y": (seed + i) / 13, "z": None},
            "history": [{"at": t * 3600 + i, "amount": t * i / 100} for t in range(6)],
            "active": i % 3 == 0,
        }
        for i in range(RECORDS)
    ]
    return {"page": seed, "records": records}


def workload(_: Report) -> None:
    """Round trips: write, parse, change, write."""
    alive: deque[dict[str, object]] = deque(maxlen=8)
    for seed in range(ROUNDS):
        text = json.dumps(make_document(seed))
        parsed = json.loads(text)
        for record in parsed["records"]:
            record["name"] = record["name"].upper()
            record["tags"].append("seen")
        assert len(json.dumps(parsed, indent=1)) > len(text)
        alive.append(parsed)


if __name__ == "__main__":
    main(workload)
