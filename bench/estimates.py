"""Medians, how well they are known, and ratios that a machine's drift cancels out of."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

# Five rounds give an interval from the least to the largest value that holds the median with a
# probability of 0.94; asking for 0.95 would need a sixth round.
_MISS = 0.07


@dataclass(frozen=True)
class Estimate:
    """A median and the interval in which it lies with a probability of about 0.94.

    Fewer than five values are not enough for that; then the interval is their range.
    """

    value: float
    low: float
    high: float
    count: int

    @property
    def half_width(self) -> float:
        """Half of the interval, as a part of the value; infinite where only one is known."""
        if self.count < 2 or self.value == 0:
            return math.inf
        return (self.high - self.low) / 2 / abs(self.value)


def estimate(values: Sequence[float]) -> Estimate:
    """The median with its interval from order statistics, which supposes no distribution."""
    ordered = sorted(values)
    cut = _outside(len(ordered))
    return Estimate(median(ordered), ordered[cut], ordered[-1 - cut], len(ordered))


def paired_ratio(values: Mapping[int, float], base: Mapping[int, float]) -> Estimate | None:
    """The median over rounds of value/base, each taken within one round."""
    pairs = [(values[number], base[number]) for number in values if number in base]
    if not pairs or any(value <= 0 or of <= 0 for value, of in pairs):
        return None
    return estimate([value / of for value, of in pairs])


def paired_difference(values: Mapping[int, float], base: Mapping[int, float]) -> Estimate | None:
    """The median over rounds of value - base, each taken within one round."""
    shared = [values[number] - base[number] for number in values if number in base]
    return estimate(shared) if shared else None


def geometric_mean(ratios: Iterable[float]) -> float | None:
    """The geometric mean, or None of nothing."""
    logs = [math.log(ratio) for ratio in ratios]
    return math.exp(sum(logs) / len(logs)) if logs else None


def _outside(count: int) -> int:
    """How many values may lie on either side of the interval of the median."""
    cut, probability = 0, 2 * 0.5**count
    while cut < (count - 1) // 2:
        probability += 2 * math.comb(count, cut + 1) * 0.5**count
        if probability > _MISS:
            break
        cut += 1
    return cut
