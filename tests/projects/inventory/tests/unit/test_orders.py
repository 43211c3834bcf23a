"""Drafts and the status of orders; the whole life is an integration test."""

import pytest

from inventory.errors import InsufficientStock, InvalidTransition
from inventory.money import Money
from inventory.orders import NEXT, Order, Status
from inventory.pricing import PercentOff


@pytest.fixture
def order(tea, cup):
    order = Order("A-1", "Ada")
    order.add(tea, 3)
    order.add(cup)
    return order


class TestDraft:
    def test_adds_up(self, order):
        assert order.total() == Money.of("28.73")

    def test_applies_rules(self, cup):
        order = Order("A-1", "Ada", [PercentOff(50)])
        order.add(cup)
        assert order.total() == Money.of("7.14")

    def test_joins_equal_items(self, order, tea):
        order.add(tea, 2)
        assert [line.quantity for line in order.lines] == [5, 1]

    @pytest.mark.parametrize(
        ("quantity", "left"), [(None, [1]), (1, [2, 1]), (3, [1]), (9, [1])]
    )
    def test_removes(self, order, tea, quantity, left):
        order.remove(tea.sku, quantity)
        assert [line.quantity for line in order.lines] == left

    def test_adds_at_least_one_piece(self, order, tea):
        with pytest.raises(ValueError, match="at least one"):
            order.add(tea, 0)


class TestPlacing:
    def test_reserves(self, order, ledger, monday):
        order.place(ledger, monday)
        assert order.status is Status.PLACED
        assert ledger.reserved("TEA-100") == 3

    def test_reserves_all_or_nothing(self, order, ledger, cup, monday):
        order.add(cup, 9)
        with pytest.raises(InsufficientStock):
            order.place(ledger, monday)
        assert order.status is Status.DRAFT
        assert ledger.reserved("TEA-100") == 0

    def test_needs_lines(self, ledger, monday):
        with pytest.raises(InvalidTransition, match="is empty"):
            Order("A-2", "Ada").place(ledger, monday)

    def test_closes_the_draft(self, order, ledger, tea, monday):
        order.place(ledger, monday)
        with pytest.raises(InvalidTransition, match="is placed"):
            order.add(tea)


@pytest.mark.parametrize("status", list(Status), ids=lambda status: status.value)
def test_every_status_has_an_exit_or_ends(status):
    assert bool(NEXT[status]) == (status not in {Status.RETURNED, Status.CANCELLED})


@pytest.mark.parametrize("step", ["pick", "ship", "take_back"])
def test_a_draft_cannot_skip_steps(order, ledger, monday, step):
    arguments = [monday] if step == "pick" else [ledger, monday]
    with pytest.raises(InvalidTransition, match="is draft"):
        getattr(order, step)(*arguments)
