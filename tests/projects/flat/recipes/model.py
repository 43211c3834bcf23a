"""What a recipe is made of."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from recipes import amounts


@dataclass(frozen=True)
class Ingredient:
    """So much of something; no amount means as much as one likes."""

    name: str
    amount: Fraction | None = None
    unit: str = ""

    def __str__(self) -> str:
        """Write the ingredient as a line of a recipe."""
        amount = "" if self.amount is None else amounts.show(self.amount)
        return " ".join(part for part in (amount, self.unit, self.name) if part)

    def scaled(self, factor: Fraction) -> Ingredient:
        """Return more or less of the same."""
        if self.amount is None:
            return self
        return replace(self, amount=self.amount * factor)


@dataclass(frozen=True)
class Recipe:
    """A title, a number of servings, ingredients and steps."""

    title: str
    servings: int
    ingredients: tuple[Ingredient, ...] = ()
    steps: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse to cook for nobody."""
        if self.servings < 1:
            raise ValueError(f"recipe `{self.title}` serves nobody")

    def for_servings(self, servings: int) -> Recipe:
        """Return the recipe for another number of people."""
        factor = Fraction(servings, self.servings)
        scaled = tuple(ingredient.scaled(factor) for ingredient in self.ingredients)
        return replace(self, servings=servings, ingredients=scaled)

    def needs(self, name: str) -> bool:
        """Tell whether an ingredient is in it."""
        wanted = name.casefold()
        return any(wanted in found.name.casefold() for found in self.ingredients)
