import pytest

from library.models import Book


@pytest.mark.django_db
@pytest.mark.parametrize("number", range(8))
def test_lend(number, set_up):
    book = Book.objects.create(title="Dune")
    book.lend()
    assert Book.objects.filter(lent=True).count() == 1
    assert len(set_up) == 1


def test_twice(db):
    book = Book.objects.get(title="Emma")
    book.lend()
    with pytest.raises(ValueError):
        book.lend()


def test_no_database():
    Book.objects.count()


def test_wrong(db):
    assert Book.objects.count() == 2
