import time
from datetime import timedelta

from hypothesis import given, settings, strategies as st

from runs import shortest


@given(st.lists(st.integers(0, 1000)))
def test_any_numbers(numbers):
    assert shortest(numbers) >= 0


@settings(deadline=timedelta(milliseconds=50), max_examples=5)
@given(st.integers(0, 0))
def test_slow(number):
    time.sleep(0.1)


@settings(deadline=None)
@given(st.lists(st.integers(0, 1), max_size=5))
def test_small_numbers(numbers):
    assert shortest(numbers) in (0, 1)
