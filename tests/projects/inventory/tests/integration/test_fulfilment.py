"""Orders served from several warehouses."""

import pytest

from inventory.fulfilment import Pick, allocate, fewest_parcels, packing_list
from inventory.locations import Network, Warehouse
from inventory.orders import Order


@pytest.fixture
def network(monday):
    """The shop's two houses: one has much tea, the other has all the cups."""
    network = Network()
    for name in ("harbour", "town"):
        network.add(Warehouse(name))
    network.connect("harbour", "town", 12)
    network.warehouses["harbour"].receive("TEA-100", 30, monday)
    network.warehouses["town"].receive("TEA-100", 5, monday)
    network.warehouses["town"].receive("CUP-1001", 8, monday)
    return network


@pytest.fixture
def order(tea, cup):
    """Fill an order with so many teas and cups."""

    def order(teas, cups):
        result = Order("A-1", "Ada")
        for item, quantity in ((tea, teas), (cup, cups)):
            if quantity:
                result.add(item, quantity)
        return result

    return order


def test_prefers_the_fullest(network, order):
    allocation = allocate(order(3, 0), network)
    assert allocation.picks == [Pick("harbour", "TEA-100", 3)]


def test_prefers_the_nearest_when_told(network, order):
    allocation = allocate(order(3, 0), network, near="town")
    assert allocation.picks == [Pick("town", "TEA-100", 3)]


def test_goes_further_for_the_rest(network, order):
    allocation = allocate(order(7, 0), network, near="town")
    assert allocation.picks == [
        Pick("town", "TEA-100", 5),
        Pick("harbour", "TEA-100", 2),
    ]
    assert allocation.parcels == 2


@pytest.mark.parametrize(
    ("teas", "cups", "missing"),
    [(35, 8, {}), (36, 0, {"TEA-100": 1}), (40, 9, {"TEA-100": 5, "CUP-1001": 1})],
)
def test_says_what_is_missing(network, order, teas, cups, missing):
    allocation = allocate(order(teas, cups), network)
    assert allocation.missing == missing
    assert allocation.complete is not bool(missing)


def test_one_parcel_if_possible(network, order):
    assert fewest_parcels(order(5, 8), network).parcels == 1


def test_two_parcels_if_not(network, order):
    assert fewest_parcels(order(6, 8), network).parcels == 2


def test_packing_list(network, order):
    assert packing_list(allocate(order(36, 1), network)).splitlines() == [
        "harbour:",
        "    30 x TEA-100",
        "town:",
        "     5 x TEA-100",
        "     1 x CUP-1001",
        "missing:",
        "     1 x TEA-100",
    ]
