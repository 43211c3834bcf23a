"""Two ways to the same number."""


def loop(n):
    total = 0
    for i in range(n):
        total += i
    return total


def formula(n):
    if n < 0:
        raise ValueError(n)
    return n * (n - 1) // 2
