"""The engine's settings: what the TRIMALLOC_* environment variables give at start, at run time."""

from __future__ import annotations

import errno
from dataclasses import dataclass

from trimalloc import _native


@dataclass(frozen=True)
class Setting:
    """One setting: its name, its present value as the environment would have it, and its use."""

    name: str
    value: str
    help: str

    @property
    def variable(self) -> str:
        """The environment variable that gives this setting when a program starts."""
        return f"TRIMALLOC_{self.name.upper()}"


def config(**changes: str | int | bool) -> dict[str, Setting]:
    """Return every setting by name, after making ``changes``.

    >>> config(release_delay_ms=50)["release_delay_ms"].value
    '50'

    Raises ValueError for an unknown name (with the nearest one), a bad value, or a setting that can
    only be given at start. All names are checked before anything is changed.
    """
    known = _native.settings()
    for name in changes:
        if name not in known:
            raise ValueError(_unknown_setting(name, list(known)))
    for name, value in changes.items():
        _change(name, str(int(value)) if isinstance(value, bool) else str(value))
    return {name: Setting(name, *entry) for name, entry in _native.settings().items()}


def _change(name: str, text: str) -> None:
    try:
        _native.set_setting(name, text)
    except OSError as error:
        if error.errno == errno.EACCES:
            raise ValueError(
                f"{name} can only be given at start: set TRIMALLOC_{name.upper()}={text} in the "
                "environment of the program"
            ) from None
        if error.errno == errno.EINVAL:
            use = _native.settings()[name][1]
            raise ValueError(f"{text!r} is no value for {name}: {use}") from None
        raise


def _unknown_setting(name: str, known: list[str]) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 (only a typo needs it)

    nearest = get_close_matches(name, known, n=1, cutoff=0.0)
    return f"there is no setting {name!r}; did you mean {nearest[0]!r}? Known: {', '.join(known)}"
