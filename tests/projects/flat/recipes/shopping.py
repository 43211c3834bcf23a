"""From recipes to one shopping list."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from recipes import units
from recipes.model import Ingredient, Recipe

AISLES = {
    "vegetables": ("onion", "carrot", "leek"),
    "dairy": ("milk", "butter", "cream", "egg"),
    "baking": ("flour", "sugar", "yeast"),
}


def merge(recipes: Iterable[Recipe], pantry: Iterable[str] = ()) -> list[Ingredient]:
    """Add up what all recipes need, without what is at home."""
    at_home = {name.casefold() for name in pantry}
    amounts: dict[tuple[str, str], Fraction | None] = {}
    for recipe in recipes:
        for ingredient in recipe.ingredients:
            if ingredient.name.casefold() in at_home:
                continue
            if ingredient.amount is None:
                amounts.setdefault((ingredient.name, ""), None)
                continue
            amount, unit = units.to_base(ingredient.amount, ingredient.unit)
            key = (ingredient.name, unit)
            amounts[key] = (amounts.get(key) or Fraction(0)) + amount
    return [
        _ingredient(*key, amount) for key, amount in sorted(amounts.items(), key=_name)
    ]


def aisle(ingredient: Ingredient) -> str:
    """Say where in the shop an ingredient is found."""
    for name, words in AISLES.items():
        if any(word in ingredient.name.casefold() for word in words):
            return name
    return "other"


def by_aisle(ingredients: Iterable[Ingredient]) -> dict[str, list[Ingredient]]:
    """Group a list so that nobody walks twice."""
    groups: dict[str, list[Ingredient]] = {}
    for ingredient in ingredients:
        groups.setdefault(aisle(ingredient), []).append(ingredient)
    return dict(sorted(groups.items()))


def _ingredient(name: str, unit: str, amount: Fraction | None) -> Ingredient:
    if amount is None:
        return Ingredient(name)
    return Ingredient(name, *units.comfortable(amount, unit))


def _name(entry: tuple[tuple[str, str], Fraction | None]) -> tuple[str, str]:
    return entry[0]
