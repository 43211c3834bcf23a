"""An order from the draft to the refund, over ledger, bus and audit log."""

from datetime import datetime, timedelta

import pytest

from inventory.audit import AuditLog
from inventory.errors import InvalidTransition
from inventory.events import Bus
from inventory.money import Money
from inventory.orders import Order, Status


@pytest.fixture
def placed(tea, cup, ledger, monday):
    order = Order("A-1", "Ada")
    order.add(tea, 3)
    order.add(cup, 2)
    order.place(ledger, monday)
    return order


@pytest.fixture
def shipped(placed, ledger, monday):
    placed.pick(monday)
    placed.ship(ledger, monday + timedelta(days=1))
    return placed


class TestHappyEnd:
    def test_goods_leave(self, shipped, ledger):
        assert shipped.status is Status.SHIPPED
        assert ledger.balances() == {"CUP-1001": 2, "TEA-100": 7}
        assert ledger.reserved("TEA-100") == 0

    def test_every_step_has_a_date(self, shipped, monday):
        assert shipped.log == [
            (monday, Status.PLACED),
            (monday, Status.PICKED),
            (monday + timedelta(days=1), Status.SHIPPED),
        ]


class TestOtherEnds:
    def test_cancelled_goods_are_free_again(self, placed, ledger, monday):
        assert placed.cancel(ledger, monday) == 5
        assert ledger.available("TEA-100") == 10

    def test_returned_goods_are_paid_back(self, shipped, ledger, monday):
        assert shipped.take_back(ledger, monday) == Money.of("43.01")
        assert ledger.on_hand("CUP-1001") == 4

    def test_nothing_is_cancelled_after_shipping(self, shipped, ledger, monday):
        with pytest.raises(InvalidTransition, match="is shipped, not cancelled"):
            shipped.cancel(ledger, monday)


class TestAudit:
    @pytest.fixture
    def log(self, tmp_path):
        return AuditLog(tmp_path / "audit.log", lambda: datetime(2024, 1, 8, 9, 30))

    def test_a_new_log_is_empty(self, log):
        assert list(log.read()) == []

    def test_writes_down_events(self, log):
        bus = Bus()
        log.attach(bus)
        bus.publish("order.placed", number="A-1")
        assert list(log.read()) == [
            {"at": "2024-01-08T09:30:00", "action": "order.placed", "number": "A-1"}
        ]

    def test_passes_over_damaged_lines(self, log):
        log.write("first")
        with log.path.open("a", encoding="utf-8") as file:
            file.write("{half a line\n")
        log.write("second")
        assert [entry["action"] for entry in log.read()] == ["first", "second"]

    def test_starts_a_new_file_when_full(self, log):
        log.max_bytes = 100
        for number in range(4):
            log.write("count", number=number)
        assert [entry["number"] for entry in log.read()] == [2, 3]
        assert log.path.with_suffix(".old").exists()
