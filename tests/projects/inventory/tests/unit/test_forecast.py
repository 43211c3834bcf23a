"""Forecasts."""

import pytest

from inventory import forecast


@pytest.mark.parametrize(
    ("window", "expected"),
    [(1, [2, 4, 6, 8]), (2, [3, 5, 7]), (4, [5]), (5, [])],
)
def test_moving_average(window, expected):
    assert forecast.moving_average([2, 4, 6, 8], window) == expected


def test_moving_average_needs_a_window():
    with pytest.raises(ValueError, match="at least one period"):
        forecast.moving_average([1], 0)


@pytest.mark.parametrize(
    ("demand", "alpha", "expected"),
    [([], 0.5, 0), ([4], 0.5, 4), ([4, 8], 0.5, 6), ([4, 8, 2], 1, 2)],
)
def test_smoothing(demand, alpha, expected):
    assert forecast.smooth(demand, alpha) == pytest.approx(expected)


@pytest.mark.parametrize("alpha", [0, -0.1, 1.1])
def test_smoothing_needs_a_share(alpha):
    with pytest.raises(ValueError, match="alpha"):
        forecast.smooth([1, 2], alpha)


@pytest.mark.parametrize(
    ("demand", "lead_time", "expected"),
    [([], 5, 0), ([4], 5, 20), ([4, 4, 4], 5, 20), ([2, 4, 6], 4, 23)],
)
def test_reorder_point(demand, lead_time, expected):
    assert forecast.reorder_point(demand, lead_time) == expected


def test_order_quantity():
    assert forecast.order_quantity(1000, 10, 2) == 100
