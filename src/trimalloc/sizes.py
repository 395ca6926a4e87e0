"""Sizes as people write them ("512M") and read them ("512.0 MiB")."""

from __future__ import annotations

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_MAX_SIZE = (1 << 63) - 1  # malloc's own bound, PTRDIFF_MAX


def parse_size(text: str) -> int:
    """Return the bytes that ``text`` names: "512M", "2G", "1.5GiB", "1048576".

    Raises ValueError, with the accepted forms, for anything else.
    """
    number = text.strip().upper()
    for ending in ("IB", "B"):
        if number.endswith(ending):
            number = number[: -len(ending)]
            break
    unit = number[-1:] if number[-1:] in {"K", "M", "G", "T"} else ""
    number = number[: len(number) - len(unit)].strip()
    try:
        # Whole numbers stay exact at any size; only "1.5G" needs a fraction.
        size = int(number) * _UNITS[unit] if number.isdigit() else int(float(number) * _UNITS[unit])
    except (ValueError, OverflowError):
        size = -1
    if not 0 <= size <= _MAX_SIZE:
        raise ValueError(f"{text!r} is not a size: write bytes, or a number with K, M, G or T")
    return size


def format_size(size: float) -> str:
    """Return ``size`` bytes in the largest unit that leaves a number of at least one."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(size) < 1024:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
