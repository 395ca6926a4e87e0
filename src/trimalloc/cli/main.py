"""The entry point: finds the subcommand and loads only that."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from types import ModuleType

_COMMANDS = ("run", "env", "stats", "size-classes", "doctor", "compare")
_HELP_START = """\
usage: trimalloc COMMAND [ARG...]
       trimalloc --version

Runs whole Python programs on the trimalloc memory allocator, and shows where
their memory is.

commands:"""
_HELP_END = "\n`trimalloc COMMAND --help` tells more."


def main(words: list[str] | None = None) -> int:
    """Run the command that ``words`` (default: the process's arguments) ask for."""
    words = sys.argv[1:] if words is None else words
    name, rest = (words[0], words[1:]) if words else ("--help", [])
    if name == "run" and not {"-h", "--help"} & set(rest[:1]):
        # Parses its own words: argparse alone would take longer than everything else it does.
        from trimalloc.cli import run

        return run.start(rest)
    if name in _COMMANDS:
        return _run_command(name, rest)
    return _without_command(name)


def _load(name: str) -> ModuleType:
    from importlib import import_module

    return import_module(f"trimalloc.cli.{name.replace('-', '_')}")


def _run_command(name: str, words: list[str]) -> int:
    module = _load(name)
    takes_command = getattr(module, "TAKES_COMMAND", False)
    command: list[str] | None = None
    if takes_command and "--" in words:
        split = words.index("--")
        words, command = words[:split], words[split + 1 :]
    args = command_parser(name).parse_args(words)
    if takes_command:
        args.command = command
    try:
        return int(module.main(args))
    except BrokenPipeError:
        # The reader (`| head`) has gone. Python would complain again when it flushes at exit.
        sys.stdout = None
        return 0
    except KeyboardInterrupt:
        return 130


def command_parser(name: str) -> argparse.ArgumentParser:
    """Return the parser of one subcommand."""
    import argparse

    module = _load(name)
    parser = argparse.ArgumentParser(
        prog=f"trimalloc {name}", description=module.HELP, allow_abbrev=False
    )
    module.add_arguments(parser)
    return parser


def main_help() -> str:
    """Return the help of ``trimalloc`` itself: the list of its commands."""
    lines = [f"  {name:<14}{_load(name).HELP}" for name in _COMMANDS]
    return "\n".join([_HELP_START, *lines, _HELP_END])


def _without_command(word: str) -> int:
    if word == "--version":
        from trimalloc import __version__

        print(f"trimalloc {__version__}")
        return 0
    if word in {"-h", "--help"}:
        print(main_help())
        return 0
    from difflib import get_close_matches

    nearest = get_close_matches(word, _COMMANDS, n=1)
    hint = f"did you mean {nearest[0]!r}?" if nearest else "see `trimalloc --help`"
    print(f"trimalloc: there is no command {word!r}; {hint}", file=sys.stderr)
    return 2
