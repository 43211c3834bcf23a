import pytest

from library.models import Book

SET_UP = []


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker):
    SET_UP.append(1)
    with django_db_blocker.unblock():
        Book.objects.get_or_create(title="Emma")


@pytest.fixture
def set_up():
    return SET_UP
