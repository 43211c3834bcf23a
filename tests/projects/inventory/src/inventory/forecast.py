"""How much will be needed: averages, smoothing, reorder points."""

from __future__ import annotations

import math
from collections.abc import Sequence


def moving_average(demand: Sequence[float], window: int) -> list[float]:
    """Average each full window of the demand."""
    if window < 1:
        raise ValueError("a window has at least one period")
    if window > len(demand):
        return []
    return [
        sum(demand[start : start + window]) / window
        for start in range(len(demand) - window + 1)
    ]


def smooth(demand: Sequence[float], alpha: float) -> float:
    """Predict the next period by exponential smoothing."""
    if not 0 < alpha <= 1:
        raise ValueError("alpha lies above 0 and is at most 1")
    if not demand:
        return 0.0
    level = float(demand[0])
    for value in demand[1:]:
        level = alpha * value + (1 - alpha) * level
    return level


def seasonal_indices(demand: Sequence[float], season: int) -> list[float]:
    """Compare each period of the season with the average of all."""
    if len(demand) < season:
        raise ValueError("less than one season of data")
    average = sum(demand) / len(demand)
    if not average:
        return [1.0] * season
    indices = []
    for period in range(season):
        values = demand[period::season]
        indices.append(sum(values) / len(values) / average)
    return indices


def deviation(demand: Sequence[float]) -> float:
    """Compute the standard deviation of a sample."""
    if len(demand) < 2:
        return 0.0
    mean = sum(demand) / len(demand)
    return math.sqrt(sum((value - mean) ** 2 for value in demand) / (len(demand) - 1))


def reorder_point(
    demand: Sequence[float], lead_time: int, service_factor: float = 1.65
) -> int:
    """Find the stock at which to order again, with a reserve for bad luck."""
    if not demand:
        return 0
    expected = sum(demand) / len(demand) * lead_time
    reserve = service_factor * deviation(demand) * math.sqrt(lead_time)
    return math.ceil(expected + reserve)


def order_quantity(yearly: float, order_cost: float, holding_cost: float) -> int:
    """Balance the cost of ordering against that of holding."""
    if holding_cost <= 0:
        raise ValueError("holding stock always costs something")
    return round(math.sqrt(2 * yearly * order_cost / holding_cost))


def trend(demand: Sequence[float]) -> str:
    """Say in a word where the demand goes."""
    if len(demand) < 4:
        return "unclear"
    half = len(demand) // 2
    before, after = sum(demand[:half]) / half, sum(demand[-half:]) / half
    if before == 0:
        return "rising" if after else "flat"
    change = after / before - 1
    if change > 0.1:
        return "rising"
    if change < -0.1:
        return "falling"
    return "flat"
