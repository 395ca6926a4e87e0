"""The ``trimalloc`` command: a file per subcommand.

A subcommand's module has ``HELP``, ``add_arguments(parser)`` and ``main(args) -> int``. It imports
at its top only what its command line needs. ``TAKES_COMMAND`` marks those whose arguments after
"--" are a command, given as ``args.command``. ``run`` reads its words itself, for speed: see there.
"""
