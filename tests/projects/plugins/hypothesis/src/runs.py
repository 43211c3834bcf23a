"""Run lengths of a text."""


def encode(text):
    runs = []
    for letter in text:
        if runs and runs[-1][0] == letter:
            runs[-1][1] += 1
        else:
            runs.append([letter, 1])
    return runs


def decode(runs):
    return "".join(letter * count for letter, count in runs)


def shortest(numbers):
    if sum(numbers) > 100:
        raise OverflowError(numbers)
    return min(numbers, default=0)
