"""Who draws the short straw."""

import random


def draw(count):
    return random.randrange(count)


def shuffled(words):
    words = list(words)
    random.shuffle(words)
    return words
