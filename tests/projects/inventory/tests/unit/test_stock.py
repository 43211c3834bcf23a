"""The ledger."""

from datetime import timedelta

import pytest

from inventory.errors import InsufficientStock
from inventory.stock import Kind, Movement


@pytest.fixture
def tuesday(monday):
    return monday + timedelta(days=1)


class TestBooking:
    def test_receives(self, ledger, monday):
        ledger.receive("TEA-100", 5, monday)
        assert ledger.on_hand("TEA-100") == 15

    def test_issues(self, ledger, monday):
        ledger.issue("TEA-100", 3, monday)
        assert ledger.on_hand("TEA-100") == 7

    def test_never_goes_below_zero(self, ledger, monday):
        with pytest.raises(InsufficientStock) as caught:
            ledger.issue("TEA-100", 12, monday)
        assert caught.value.missing == 2
        assert ledger.on_hand("TEA-100") == 10

    def test_records_nothing_below_zero(self, ledger, monday):
        with pytest.raises(InsufficientStock):
            ledger.record(Movement("CUP-1001", Kind.TRANSFER, -5, monday))

    @pytest.mark.parametrize("quantity", [0, -1])
    @pytest.mark.parametrize("action", ["receive", "issue"])
    def test_moves_at_least_one_piece(self, ledger, monday, action, quantity):
        with pytest.raises(ValueError, match="at least one"):
            getattr(ledger, action)("TEA-100", quantity, monday)

    @pytest.mark.parametrize(("counted", "difference"), [(8, -2), (10, 0), (13, 3)])
    def test_counts(self, ledger, monday, counted, difference):
        assert ledger.count("TEA-100", counted, monday) == difference
        assert ledger.on_hand("TEA-100") == counted

    def test_a_right_count_leaves_no_trace(self, ledger, monday):
        before = len(ledger)
        ledger.count("TEA-100", 10, monday)
        assert len(ledger) == before


class TestReserving:
    def test_takes_from_what_is_available(self, ledger):
        ledger.reserve("TEA-100", 4, "A-1")
        assert ledger.available("TEA-100") == 6
        assert ledger.on_hand("TEA-100") == 10

    def test_promises_nothing_twice(self, ledger):
        ledger.reserve("TEA-100", 8, "A-1")
        with pytest.raises(InsufficientStock):
            ledger.reserve("TEA-100", 3, "A-2")

    def test_keeps_promises(self, ledger, monday):
        ledger.reserve("TEA-100", 8, "A-1")
        with pytest.raises(InsufficientStock, match="2 available"):
            ledger.issue("TEA-100", 3, monday, "A-2")

    def test_a_promise_can_be_used(self, ledger, monday):
        ledger.reserve("TEA-100", 8, "A-1")
        ledger.issue("TEA-100", 8, monday, "A-1")
        assert ledger.reserved("TEA-100") == 0

    def test_a_promise_can_be_used_in_parts(self, ledger, monday):
        ledger.reserve("TEA-100", 8, "A-1")
        ledger.issue("TEA-100", 5, monday, "A-1")
        assert ledger.reserved("TEA-100") == 3

    def test_releases_by_reference(self, ledger):
        ledger.reserve("TEA-100", 2, "A-1")
        ledger.reserve("CUP-1001", 1, "A-1")
        ledger.reserve("TEA-100", 3, "A-2")
        assert ledger.release("A-1") == 3
        assert ledger.reserved("TEA-100") == 3


class TestReading:
    @pytest.fixture
    def busy(self, ledger, monday, tuesday):
        ledger.issue("TEA-100", 4, tuesday)
        ledger.issue("CUP-1001", 4, tuesday)
        return ledger

    def test_lists_balances(self, busy):
        assert busy.balances() == {"TEA-100": 6}

    def test_lists_empty_balances_too(self, busy):
        assert busy.balances(include_empty=True) == {"CUP-1001": 0, "TEA-100": 6}

    def test_filters_history(self, busy, tuesday):
        assert len(busy.history()) == 4
        assert [m.change for m in busy.history("TEA-100")] == [10, -4]
        assert [m.sku for m in busy.history(since=tuesday)] == ["TEA-100", "CUP-1001"]

    def test_looks_back(self, busy, monday):
        assert busy.on_hand_at("TEA-100", monday) == 10
        assert busy.on_hand_at("TEA-100", monday - timedelta(days=1)) == 0
