"""The options that become TRIMALLOC_* variables: shared by `run`, `env` and `doctor`.

One table, read in two ways: by argparse where help and messages matter, and directly by `run`,
which has no time to import argparse.
"""

from __future__ import annotations

from trimalloc.launch import CACHES, MODES
from trimalloc.sizes import parse_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

_MAX_SECONDS = 2**32 - 1  # what the library reads a number into

# An option: the variable it sets, the name of its value ("" for a switch), what a switch sets or
# None, how a value is checked, and what it is for.
Option = tuple[str, str, "str | None", "Callable[[str], str] | None", str]


def _mode(text: str) -> str:
    if text not in MODES:
        raise ValueError(f"{text!r} is not a mode: write {', '.join(MODES)}")
    return text


def _caches(text: str) -> str:
    if text not in CACHES:
        raise ValueError(f"{text!r} does not say whom caches belong to: write {', '.join(CACHES)}")
    return text


def _size(text: str) -> str:
    return str(parse_size(text))


def _seconds(text: str) -> str:
    if not text.isdecimal() or not 0 < int(text) <= _MAX_SECONDS:
        raise ValueError(f"{text!r} is not a time: write whole seconds, at least 1")
    return text


OPTIONS: dict[str, Option] = {
    "--mode": (
        "TRIMALLOC_MODE",
        "MODE",
        None,
        _mode,
        "which of CPython's allocators to take as well as malloc: full (every object), arena "
        "(pymalloc's arenas), malloc (none)",
    ),
    "--caches": (
        "TRIMALLOC_CACHES",
        "WHOSE",
        None,
        _caches,
        "whom the caches of small blocks belong to: thread, cpu (for many threads on few "
        "processors), auto (thread)",
    ),
    "--report": ("TRIMALLOC_REPORT", "", "1", None, "print at exit where the memory was"),
    "--limit": (
        "TRIMALLOC_LIMIT",
        "SIZE",
        None,
        _size,
        "resident memory above which allocations fail, such as 512M",
    ),
    "--soft-limit": (
        "TRIMALLOC_SOFT_LIMIT",
        "SIZE",
        None,
        _size,
        "where eager release and pressure callbacks begin (default: 7/8 of the limit)",
    ),
    "--stats-every": (
        "TRIMALLOC_STATS_EVERY",
        "S",
        None,
        _seconds,
        "print a line of statistics on stderr every S seconds",
    ),
    "--huge-pages": (
        "TRIMALLOC_HUGE_PAGES",
        "",
        "1",
        None,
        "make huge pages of what is dense and stays, for large heaps that live for minutes",
    ),
    "--no-follow": ("TRIMALLOC_FOLLOW", "", "0", None, "start child processes without trimalloc"),
    "--check": ("TRIMALLOC_CHECK", "", "1", None, "stop at the call that misuses memory"),
}


def read_options(words: list[str]) -> tuple[dict[str, str], list[str]]:
    """Return the variables that the leading options of ``words`` set, and the words after them.

    Stops at the first word that is no option of the table. Raises ValueError for a bad value.
    """
    settings: dict[str, str] = {}
    position = 0
    while position < len(words):
        flag, equals, value = words[position].partition("=")
        if flag not in OPTIONS:
            break
        variable, metavar, switched, check, _ = OPTIONS[flag]
        position += 1
        if not metavar:
            if equals:
                raise ValueError(f"{flag} takes no value")
            settings[variable] = switched or ""
            continue
        if not equals:
            if position == len(words):
                raise ValueError(f"{flag} needs a value: {flag} {metavar}")
            value = words[position]
            position += 1
        settings[variable] = _checked(flag, value, check)
    return settings, words[position:]


def _checked(flag: str, value: str, check: Callable[[str], str] | None) -> str:
    try:
        return check(value) if check else value
    except ValueError as error:
        raise ValueError(f"{flag}: {error}") from None


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the table's options to an argparse parser; ``chosen_settings`` reads them back."""
    import argparse

    def convert(check: Callable[[str], str]) -> Callable[[str], str]:
        def checked(text: str) -> str:
            try:
                return check(text)
            except ValueError as error:
                raise argparse.ArgumentTypeError(str(error)) from None

        return checked

    for flag, (variable, metavar, switched, check, use) in OPTIONS.items():
        if check is None:
            parser.add_argument(flag, dest=variable, action="store_const", const=switched, help=use)
        else:
            parser.add_argument(flag, dest=variable, metavar=metavar, type=convert(check), help=use)


def chosen_settings(args: argparse.Namespace) -> dict[str, str]:
    """Return the variables that the options parsed by argparse set."""
    chosen = {option[0]: getattr(args, option[0]) for option in OPTIONS.values()}
    return {variable: value for variable, value in chosen.items() if value is not None}
