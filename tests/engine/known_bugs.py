"""Cases that the engine does not pass yet, each with what is wrong.

An entry goes when its bug goes: a case that passes unexpectedly is a failure.
"""

from __future__ import annotations

KNOWN_BUGS: dict[str, str] = {}
