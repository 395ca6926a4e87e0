"""``trimalloc env``: the environment of `trimalloc run`, for shells, images and service files."""

from __future__ import annotations

import argparse
import shlex
import sys

from trimalloc import launch
from trimalloc.cli import engine_options

HELP = "print the environment that puts programs on trimalloc"

_EPILOG = """\
eval "$(trimalloc env)"                             this shell and what it starts
trimalloc env --format docker >> Dockerfile         an image
trimalloc env --format systemd                      lines for the [Service] section of a unit
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    engine_options.add_options(parser)
    parser.add_argument(
        "--format",
        choices=sorted(_FORMATS),
        default="sh",
        help="what the lines are for (default: %(default)s)",
    )


def main(args: argparse.Namespace) -> int:
    """Print the lines; return the exit status."""
    settings = engine_options.chosen_settings(args)
    try:
        from trimalloc.location import library_for

        # A service file or an image has no LD_PRELOAD to keep; the shell's own is kept by name.
        variables = launch.preload_environment({}, library_for({}, settings), settings)
    except (ValueError, FileNotFoundError) as error:
        print(f"trimalloc env: {error}", file=sys.stderr)
        return 125
    for name, value in variables.items():
        print(_FORMATS[args.format](name, value))
    return 0


def _shell(name: str, value: str) -> str:
    if name == "LD_PRELOAD":
        return f"export LD_PRELOAD={shlex.quote(value)}${{LD_PRELOAD:+:$LD_PRELOAD}}"
    return f"export {name}={shlex.quote(value)}"


def _docker(name: str, value: str) -> str:
    return f'ENV {name}="{_escaped(value)}"'


def _systemd(name: str, value: str) -> str:
    return f'Environment="{name}={_escaped(value).replace("%", "%%")}"'


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")


_FORMATS = {"sh": _shell, "docker": _docker, "systemd": _systemd}
