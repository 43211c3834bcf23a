import pytest

from shelf import Shelf


@pytest.mark.parametrize("book", ["Dune", "Emma"])
def test_add(book):
    shelf = Shelf()
    shelf.add(book)
    assert shelf.books == [book]


def test_twice():
    shelf = Shelf()
    shelf.add("Dune")
    with pytest.raises(ValueError):
        shelf.add("Dune")
