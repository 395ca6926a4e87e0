"""``python -m trimalloc``: the same as the ``trimalloc`` command."""

import sys

from trimalloc.cli.main import main

sys.exit(main())
