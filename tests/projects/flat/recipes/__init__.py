"""Read recipes, scale them, and write the shopping list."""

from recipes.model import Ingredient, Recipe
from recipes.reader import read

__all__ = ["Ingredient", "Recipe", "read"]
