import pytest

from library.models import Book


@pytest.mark.parametrize("number", range(8))
def test_titles(client, db, number):
    Book.objects.create(title="Dune")
    assert client.get("/titles/").json() == {"titles": ["Dune", "Emma"]}


def test_lent(client, db):
    Book.objects.create(title="Dune", lent=True)
    assert client.get("/titles/?lent=1").json() == {"titles": ["Dune"]}


def test_queries(client, db, django_assert_num_queries):
    with django_assert_num_queries(1):
        client.get("/titles/")
