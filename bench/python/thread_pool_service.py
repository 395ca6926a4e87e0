"""A service on a thread pool: bursts of requests with quiet between them.

`quiet_kib` is the mean resident memory at the end of the quiet times: what an operator sees on a
dashboard of a service that is mostly waiting.
"""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor

from bench.python.harness import Report, main, status_kib

THREADS = 8
BURSTS = 4
REQUESTS_PER_BURST = 360
QUIET_SECONDS = 0.4


def request(number: int) -> int:
    """Parses a body, works on buffers of some 100 KB, renders a reply."""
    body = json.dumps([{"key": f"k{number}-{i}", "value": i / 3} for i in range(400)])
    rows = json.loads(body)
    buffer = bytearray()
    for row in rows:
        buffer += row["key"].encode() * 20
    copies = [bytes(buffer) for _ in range(4)]
    page = "".join(f"<li>{row['key']}: {row['value']:.3f}</li>\n" for row in rows)
    return len(page) + sum(map(len, copies))


def serve(report: Report, threads: int) -> None:
    """Bursts; the answers of one burst are alive together at its end, as in a gather."""
    quiet = []
    with ThreadPoolExecutor(threads) as pool:
        for burst in range(BURSTS):
            first = burst * REQUESTS_PER_BURST
            sizes = list(pool.map(request, range(first, first + REQUESTS_PER_BURST)))
            held = [bytes(size) for size in sizes]
            assert len(held) == REQUESTS_PER_BURST
            del held, sizes
            time.sleep(QUIET_SECONDS)
            quiet.append(status_kib("VmRSS"))
    report.add("quiet_kib", sum(quiet) / len(quiet))


def workload(report: Report) -> None:
    """Eight threads."""
    serve(report, THREADS)


if __name__ == "__main__":
    main(workload)
