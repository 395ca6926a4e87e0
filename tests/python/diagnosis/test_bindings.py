"""Reading symbol bindings from live processes and from the loader's log."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from trimalloc.diagnosis.bindings import bindings_in_log, bindings_of


def test_a_plain_process_gets_malloc_from_libc() -> None:
    with subprocess.Popen(
        ["cat"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "LD_BIND_NOW": "1"},  # also what was not called yet
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"started\n")
        process.stdin.flush()
        process.stdout.readline()
        bindings = bindings_of(process.pid)
        process.stdin.close()
    cat = os.path.realpath("/bin/cat")
    assert set(bindings) >= {cat}
    assert all("/libc.so" in provider or "/libc-" in provider for provider in bindings.values())


def test_a_pointer_that_a_library_has_overwritten_is_no_binding() -> None:
    # libmpdec keeps a pointer to malloc in its data, and CPython's decimal sets it to its own.
    decimal = pytest.importorskip("_decimal").__file__
    with subprocess.Popen(
        [sys.executable, "-c", "import _decimal; print(flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert "libpython" not in bindings_of(process.pid).get(decimal, "")
        process.kill()


def test_the_loaders_log_names_who_takes_malloc_from_whom() -> None:
    log = [
        "      42:\tbinding file /bin/a b [0] to /opt/libtrimalloc.so [0]: normal symbol `malloc'",
        "      42:\tbinding file /lib/x.so [0] to /lib/libc.so.6 [0]: normal symbol `malloc'"
        " [GLIBC_2.2.5]",
        "      42:\tbinding file /lib/x.so [0] to /lib/libc.so.6 [0]: normal symbol `malloc_trim'",
        "      42:\tcalling init: /lib/x.so",
    ]
    assert bindings_in_log(log) == {
        "/bin/a b": "/opt/libtrimalloc.so",
        "/lib/x.so": "/lib/libc.so.6",
    }
