"""One command under several allocators, measured side by side.

The pieces, from the outside in:

* ``rounds`` orders the runs and collects them into a ``Comparison``;
* ``run`` starts the command once and watches it to its end;
* ``sampling`` reads the process tree's memory while it runs, ``proof`` checks that the allocator
  named is the one in use, ``protocol`` reads what the program reports about itself;
* ``allocators`` finds what is installed, ``command`` what the command line means;
* ``summary`` turns runs into medians, spreads and ratios;
* ``machine`` names what it was measured on.

Nothing here prints: ``trimalloc.cli.compare`` and ``trimalloc.exporters`` do.
"""

from __future__ import annotations
