"""The service of thread_pool_service on 64 threads: more than there are processors."""

from __future__ import annotations

from bench.python.harness import Report, main
from bench.python.thread_pool_service import serve

THREADS = 64


def workload(report: Report) -> None:
    """Sixty-four threads."""
    serve(report, THREADS)


if __name__ == "__main__":
    main(workload)
