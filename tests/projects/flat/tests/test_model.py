"""Ingredients and recipes."""

from fractions import Fraction

import pytest

from recipes import Ingredient, Recipe


def test_an_ingredient_reads_like_a_line():
    assert str(Ingredient("flour", Fraction(200), "g")) == "200 g flour"
    assert str(Ingredient("salt")) == "salt"


def test_scales(pancakes):
    assert [str(found) for found in pancakes.for_servings(6).ingredients] == [
        "300 g flour",
        "3 eggs",
        "2¼ cup milk",
        "salt",
    ]


def test_scaling_keeps_the_original(pancakes):
    assert pancakes.for_servings(1).servings == 1
    assert pancakes.servings == 4


def test_somebody_eats():
    with pytest.raises(ValueError, match="serves nobody"):
        Recipe("Air", 0)


@pytest.mark.parametrize(("name", "found"), [("Egg", True), ("bacon", False)])
def test_knows_what_it_needs(pancakes, name, found):
    assert pancakes.needs(name) is found
