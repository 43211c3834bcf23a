"""Shopping lists."""

import pytest

from recipes import Ingredient, shopping


def test_adds_up(pancakes, soup):
    assert [str(found) for found in shopping.merge([pancakes, soup])] == [
        "2 eggs",
        "200 g flour",
        "3 leeks",
        "610 ml milk",
        "850 g potatoes",
        "salt",
    ]


def test_leaves_out_what_is_at_home(soup):
    names = [found.name for found in shopping.merge([soup], pantry=["Salt", "MILK"])]
    assert names == ["leeks", "potatoes"]


@pytest.mark.parametrize(
    ("name", "aisle"), [("leeks", "vegetables"), ("eggs", "dairy"), ("salt", "other")]
)
def test_knows_the_shop(name, aisle):
    assert shopping.aisle(Ingredient(name)) == aisle


def test_groups_by_aisle(pancakes):
    groups = shopping.by_aisle(shopping.merge([pancakes]))
    assert list(groups) == ["baking", "dairy", "other"]
