import pytest

import till


@pytest.mark.freeze_time("2001-02-03")
def test_a_day():
    assert till.date() == "2001-02-03"


def test_another(freezer):
    freezer.move_to("1999-12-31")
    assert till.date() == "1999-12-31"


def test_the_wrong_one(freezer):
    freezer.move_to("1999-12-31")
    assert till.date() == "2000-01-01"
