"""Reading recipes from Markdown."""

from __future__ import annotations

import re

from recipes import amounts
from recipes.model import Ingredient, Recipe
from recipes.units import canonical, is_unit

SERVES = re.compile(r"serves\s+(\d+)", re.IGNORECASE)
AMOUNT = re.compile(r"[\d½⅓⅔¼¾./\s-]*[\d½⅓⅔¼¾]")


class ReadError(ValueError):
    """A text that is not a recipe."""


def read(text: str) -> Recipe:
    """Read a title, `Serves N`, a list of ingredients, and numbered steps."""
    title, servings = "", 0
    ingredients: list[Ingredient] = []
    steps: list[str] = []
    for line in text.splitlines():
        line = line.strip()
        serves = SERVES.match(line)
        if line.startswith("# "):
            title = line[2:]
        elif serves:
            servings = int(serves.group(1))
        elif line.startswith(("- ", "* ")):
            ingredients.append(read_ingredient(line[2:]))
        elif re.match(r"\d+\. ", line):
            steps.append(line.partition(". ")[2])
        elif line and steps:
            steps[-1] = f"{steps[-1]} {line}"
    if not title:
        raise ReadError("a recipe has a title")
    return Recipe(title, servings or 1, tuple(ingredients), tuple(steps))


def read_ingredient(line: str) -> Ingredient:
    """Read `200 g flour`, `2 eggs` or `salt`."""
    match = AMOUNT.match(line)
    if match is None:
        return Ingredient(line.strip())
    try:
        amount = amounts.parse(match.group())
    except ValueError as error:
        raise ReadError(f"cannot read `{line}`: {error}") from error
    words = line[match.end() :].split()
    if len(words) > 1 and is_unit(words[0]):
        return Ingredient(" ".join(words[1:]), amount, canonical(words[0]))
    return Ingredient(" ".join(words), amount)
