import pytest

from sums import formula


@pytest.mark.benchmark(group="formula", min_rounds=3, max_time=0.1)
def test_formula(benchmark):
    assert benchmark(formula, 100) == 4950


def test_wrong(benchmark):
    benchmark(formula, -1)


def test_without():
    assert formula(3) == 3
