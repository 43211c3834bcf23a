"""Reading Markdown."""

from fractions import Fraction

import pytest

from recipes import Ingredient, read
from recipes.reader import ReadError, read_ingredient


def test_reads_a_whole_recipe(pancakes):
    assert (pancakes.title, pancakes.servings) == ("Pancakes", 4)
    assert len(pancakes.ingredients) == 4
    assert pancakes.steps == ("Whisk everything, then wait.", "Fry.")


def test_serves_one_if_it_does_not_say():
    assert read("# Toast\n- bread").servings == 1


def test_needs_a_title():
    with pytest.raises(ReadError, match="has a title"):
        read("- bread")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("200 g flour", Ingredient("flour", Fraction(200), "g")),
        ("2 Tablespoon olive oil", Ingredient("olive oil", Fraction(2), "tbsp")),
        ("½ onion", Ingredient("onion", Fraction(1, 2))),
        ("2 cups", Ingredient("cups", Fraction(2))),
        ("pepper", Ingredient("pepper")),
    ],
)
def test_reads_ingredients(line, expected):
    assert read_ingredient(line) == expected


def test_says_what_it_cannot_read():
    with pytest.raises(ReadError, match="cannot read `1/0 egg`"):
        read_ingredient("1/0 egg")
