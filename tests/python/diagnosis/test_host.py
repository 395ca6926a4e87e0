"""Facts about the machine."""

from __future__ import annotations

import resource
import subprocess
import sys

from trimalloc.diagnosis.host import facts


def test_each_fact_has_a_value() -> None:
    found = facts()
    assert len({fact.name for fact in found}) == len(found)
    assert all(fact.value for fact in found)


def test_a_limited_address_space_is_noted() -> None:
    code = "from trimalloc.diagnosis.host import facts; print([f for f in facts() if f.note])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30)),
        capture_output=True,
        text=True,
        check=True,
    )
    assert "value='4.0 GiB', note='the arena is no larger than this allows'" in done.stdout
