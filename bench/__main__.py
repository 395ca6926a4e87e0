"""The command line: `python -m bench COMMAND`."""

from __future__ import annotations

import argparse
import importlib
import sys

COMMANDS = ("run", "table", "plot", "instructions", "explained")


def main() -> int:
    """Finds the command and runs it."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        module = importlib.import_module(f"bench.commands.{name}")
        command = commands.add_parser(name, help=module.HELP, description=module.HELP)
        module.add_arguments(command)
        command.set_defaults(execute=module.execute)
    options = parser.parse_args()
    status: int = options.execute(options)
    return status


if __name__ == "__main__":
    sys.exit(main())
