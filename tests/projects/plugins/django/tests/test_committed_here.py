import pytest

from library.models import Book


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("number", range(12))
def test_nobody_else_writes_here(number):
    Book.objects.all().delete()
    for copy in range(5):
        Book.objects.create(title=f"Copy {copy}")
        assert Book.objects.count() == copy + 1
