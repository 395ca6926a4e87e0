"""What the library exports. `python tests/engine/exported_symbols.py LIBRARY` writes the file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

GOLDEN_FILE = Path(__file__).parents[1] / "golden" / "exported-symbols.txt"


def exported_symbols(library: Path) -> str:
    """Return the names of the dynamic symbols that `library` defines, sorted, a line each."""
    table = subprocess.run(
        ["nm", "-D", "--defined-only", str(library)], capture_output=True, text=True, check=True
    ).stdout
    return "".join(f"{name}\n" for name in sorted(line.split()[-1] for line in table.splitlines()))


if __name__ == "__main__":
    GOLDEN_FILE.write_text(exported_symbols(Path(sys.argv[1])), encoding="utf-8")
