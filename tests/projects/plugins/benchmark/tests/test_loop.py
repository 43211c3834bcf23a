from sums import loop


def test_loop(benchmark):
    assert benchmark(loop, 100) == 4950


def test_rounds(benchmark):
    assert benchmark.pedantic(loop, args=(10,), rounds=3) == 45
