"""Two recipes for all tests."""

import pytest

from recipes import read

PANCAKES = """
# Pancakes
Serves 4

- 200 g flour
- 2 eggs
- 1 ½ cups milk
- salt

1. Whisk everything,
   then wait.
2. Fry.
"""

SOUP = """
# Leek soup
Serves 2

* 3 leeks
* 250 ml milk
* 850 g potatoes
* salt
"""


@pytest.fixture(scope="session")
def pancakes():
    return read(PANCAKES)


@pytest.fixture(scope="session")
def soup():
    return read(SOUP)


@pytest.fixture
def files(tmp_path):
    """Write both recipes to files."""
    paths = [tmp_path / "pancakes.md", tmp_path / "soup.md"]
    for path, text in zip(paths, (PANCAKES, SOUP)):
        path.write_text(text, encoding="utf-8")
    return [str(path) for path in paths]
