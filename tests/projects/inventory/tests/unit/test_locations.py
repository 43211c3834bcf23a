"""Warehouses and roads."""

import pytest

from inventory.errors import CapacityExceeded, InsufficientStock, NoRoute
from inventory.locations import Network, Warehouse


@pytest.fixture
def network(monday):
    """North, centre and south in a row, and an island."""
    network = Network()
    for name, capacity in [("north", 50), ("centre", None), ("south", 10)]:
        network.add(Warehouse(name, capacity))
    network.add(Warehouse("island"))
    network.connect("north", "centre", 80)
    network.connect("centre", "south", 60)
    network.connect("north", "south", 200)
    network.warehouses["north"].receive("TEA-100", 20, monday)
    network.warehouses["centre"].receive("TEA-100", 4, monday)
    return network


class TestWarehouse:
    def test_has_a_limit(self, monday):
        place = Warehouse("small", 5)
        place.receive("TEA-100", 3, monday)
        assert place.free == 2
        with pytest.raises(CapacityExceeded, match="room for 2, not for 3"):
            place.receive("TEA-100", 3, monday)

    def test_has_perhaps_no_limit(self, monday):
        place = Warehouse("field")
        place.receive("TEA-100", 100_000, monday)
        assert place.free is None
        assert place.load == 100_000


class TestRoutes:
    def test_the_shortest_way_wins(self, network):
        assert network.route("north", "south") == (140, ["north", "centre", "south"])

    def test_home_is_near(self, network):
        assert network.route("north", "north") == (0, ["north"])

    def test_no_road_leads_to_the_island(self, network):
        with pytest.raises(NoRoute, match="no way from `north` to `island`"):
            network.route("north", "island")

    def test_roads_need_two_ends(self, network):
        with pytest.raises(NoRoute, match="no warehouse `moon`"):
            network.connect("north", "moon", 384_400)

    @pytest.mark.parametrize(
        ("start", "order"),
        [
            ("north", ["north", "centre", "south"]),
            ("south", ["south", "centre", "north"]),
            ("island", ["island"]),
        ],
    )
    def test_sorts_by_distance(self, network, start, order):
        assert network.nearest(start) == order


class TestTransfers:
    def test_moves_goods(self, network, monday):
        assert network.transfer("TEA-100", 5, "north", "south", monday) == 140
        assert network.warehouses["south"].ledger.on_hand("TEA-100") == 5
        assert network.total("TEA-100") == 24

    def test_needs_goods(self, network, monday):
        with pytest.raises(InsufficientStock):
            network.transfer("TEA-100", 5, "centre", "south", monday)

    def test_needs_room(self, network, monday):
        with pytest.raises(CapacityExceeded):
            network.transfer("TEA-100", 11, "north", "south", monday)
        assert network.total("TEA-100") == 24

    def test_lists_the_fullest_first(self, network):
        names = [place.name for place in network.holding("TEA-100")]
        assert names == ["north", "centre"]
