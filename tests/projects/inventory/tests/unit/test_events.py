"""The bus."""

import pytest

from inventory.events import Bus


@pytest.fixture
def bus():
    return Bus()


@pytest.mark.parametrize(
    ("pattern", "reached"),
    [("*", 1), ("stock.*", 1), ("stock.received", 1), ("stock", 0), ("order.*", 0)],
)
def test_patterns(bus, pattern, reached):
    bus.subscribe(pattern, lambda event: None)
    assert bus.publish("stock.received") == reached


def test_passes_details(bus):
    seen = []
    bus.subscribe("*", seen.append)
    bus.publish("stock.received", sku="TEA-100", quantity=3)
    assert seen[0].details == {"sku": "TEA-100", "quantity": 3}


def test_a_listener_may_stop_twice(bus):
    stop = bus.subscribe("*", lambda event: None)
    stop()
    stop()
    assert bus.publish("stock.received") == 0


def test_a_failing_listener_stops_nobody(bus):
    seen = []

    def fail(event):
        raise RuntimeError("out of paper")

    bus.subscribe("*", fail)
    bus.subscribe("*", seen.append)
    assert bus.publish("order.placed") == 1
    assert len(seen) == 1
    assert str(bus.failures[0][1]) == "out of paper"


def test_a_listener_may_subscribe_others(bus):
    bus.subscribe("*", lambda event: bus.subscribe("*", lambda event: None) and None)
    assert bus.publish("first") == 1
    assert bus.publish("second") == 2
