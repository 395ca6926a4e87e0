"""The load: a fixed number of requests, the same in every run, over keep-alive connections.

Run by ``main.py`` as a process of its own. Writes JSON lines to stdout: where its phases begin, and
at the end what it measured.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx

USERS = 32
WORDS = [f"{stem}{ending}" for stem in ("al", "be", "co", "du", "er") for ending in range(400)]
# Most bodies are small, a few are large: what a service sees, and what leaves holes of all sizes.
BODY_RECORDS = (4, 8, 16, 40, 120, 300)
BODY_WEIGHTS = (24, 24, 20, 16, 10, 6)
REQUEST_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True)
class Call:
    """One request."""

    method: str
    path: str
    body: bytes = b""


@dataclass
class Outcome:
    """What the client saw of a phase."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    errors: int = 0

    def metrics(self) -> dict[str, float]:
        """The figures to report."""
        ordered = sorted(self.latencies)
        return {
            "requests_per_second": round(len(ordered) / self.seconds, 1),
            "p50_ms": round(ordered[len(ordered) // 2] * 1000, 2),
            "p99_ms": round(ordered[len(ordered) * 99 // 100] * 1000, 2),
        }


def bodies(seed: int, count: int) -> list[bytes]:
    """Documents to upload; users share them, so that the client stays small."""
    choice = random.Random(seed)
    return [_body(choice) for _ in range(count)]


def _body(choice: random.Random) -> bytes:
    (count,) = choice.choices(BODY_RECORDS, BODY_WEIGHTS)
    records = [
        {
            "id": number,
            "text": " ".join(choice.choices(WORDS, k=choice.randrange(5, 250))),
            "values": [round(choice.random(), 4) for _ in range(choice.randrange(8, 48))],
            "tags": choice.choices(WORDS, k=3),
        }
        for number in range(count)
    ]
    return json.dumps({"records": records}).encode()


def calls(user: int, seed: int, requests: int, documents: list[bytes]) -> Iterator[Call]:
    """One user's requests: mostly uploads, and work on what was uploaded."""
    choice = random.Random(seed * 1009 + user)
    base = f"/users/user-{user}"
    latest = 0
    for number in range(requests):
        (kind,) = choice.choices(
            ("put", "get", "search", "statistics", "export"), (45, 25, 14, 13, 3)
        )
        if kind == "put" or number == 0:
            latest = number
            yield Call("PUT", f"{base}/documents/{number}", choice.choice(documents))
        elif kind == "get":
            yield Call("GET", f"{base}/documents/{latest}")
        elif kind == "search":
            query = [round(choice.random(), 4) for _ in range(32)]
            yield Call("POST", f"{base}/search", json.dumps({"query": query}).encode())
        elif kind == "statistics":
            values = [round(choice.gauss(0, 1), 5) for _ in range(choice.randrange(100, 3000))]
            yield Call("POST", f"{base}/statistics", json.dumps({"values": values}).encode())
        else:
            yield Call("GET", f"{base}/export")


async def drive(url: str, user: int, plan: list[Call], outcome: Outcome) -> None:
    """One user, on a connection of its own: each request follows the answer to the one before."""
    # A client for each user: one client's pool looks through all connections at each request.
    async with httpx.AsyncClient(
        base_url=url, timeout=REQUEST_TIMEOUT_SECONDS, verify=False, trust_env=False
    ) as client:
        for call in plan:
            begun = time.perf_counter()
            try:
                answer = await client.request(call.method, call.path, content=call.body)
                problem = f"status {answer.status_code}" if answer.status_code >= 500 else ""
            except httpx.HTTPError as error:
                problem = repr(error)
            outcome.latencies.append(time.perf_counter() - begun)
            if problem:
                outcome.errors += 1
                print(f"user {user}: {call.method} {call.path}: {problem}", file=sys.stderr)


async def phase(name: str, url: str, plans: list[list[Call]]) -> Outcome:
    """All users at once."""
    outcome = Outcome()
    say({"phase": name})
    begun = time.perf_counter()
    await asyncio.gather(*(drive(url, user, plan, outcome) for user, plan in enumerate(plans)))
    outcome.seconds = time.perf_counter() - begun
    return outcome


def say(entry: dict[str, object]) -> None:
    """A line for ``main.py``."""
    print(json.dumps({"time": time.monotonic(), **entry}), flush=True)


async def main() -> int:
    """Warm-up, burst, figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--requests", type=int, required=True, help="of all users in the burst")
    parser.add_argument("--users", type=int, default=USERS)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    documents = bodies(args.seed, 100)
    share = max(args.requests // args.users, 1)
    plans = [list(calls(user, args.seed, share, documents)) for user in range(args.users)]
    warm_up = [list(calls(user, args.seed + 1, 12, documents[:20])) for user in range(4)]
    await phase("warm-up", args.url, warm_up)
    outcome = await phase("burst", args.url, plans)
    say({"metrics": outcome.metrics()})
    say({"phase": "quiet"})
    return 1 if outcome.errors else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
