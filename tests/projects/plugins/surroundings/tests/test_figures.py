import till


def test_small(data_regression):
    data_regression.check(till.receipt(1, 2))


def test_large(data_regression):
    data_regression.check(till.receipt(99, 2))


def test_new(data_regression):
    data_regression.check(till.receipt())


def test_shop():
    assert till.SHOP == "corner shop"
