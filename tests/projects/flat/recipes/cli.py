"""The command line: show a recipe, or shop for several."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from recipes import shopping
from recipes.model import Recipe
from recipes.reader import ReadError, read


def main(arguments: Sequence[str]) -> int:
    """Run, and return the exit code."""
    parser = argparse.ArgumentParser(prog="recipes", description="Cook for many")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--servings", type=int)
    parser.add_argument("--shop", action="store_true", help="write a shopping list")
    typed = parser.parse_args(arguments)
    try:
        recipes = [_load(path, typed.servings) for path in typed.files]
    except OSError as error:
        print(f"recipes: {error.strerror}: {error.filename}", file=sys.stderr)
        return 2
    except ReadError as error:
        print(f"recipes: {error}", file=sys.stderr)
        return 1
    if typed.shop:
        _print_shopping(recipes)
    else:
        _print_recipes(recipes)
    return 0


def _load(path: Path, servings: int | None) -> Recipe:
    recipe = read(path.read_text(encoding="utf-8"))
    return recipe if servings is None else recipe.for_servings(servings)


def _print_recipes(recipes: list[Recipe]) -> None:
    for recipe in recipes:
        print(f"{recipe.title} (serves {recipe.servings})")
        for ingredient in recipe.ingredients:
            print(f"  {ingredient}")
        for number, step in enumerate(recipe.steps, start=1):
            print(f"  {number}. {step}")


def _print_shopping(recipes: list[Recipe]) -> None:
    groups = shopping.by_aisle(shopping.merge(recipes))
    for name, ingredients in groups.items():
        print(name)
        for ingredient in ingredients:
            print(f"  {ingredient}")
