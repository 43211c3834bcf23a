"""Work that takes a while, or for ever."""

import time


def work(steps):
    done = 0
    while done != steps:
        done += 1
        time.sleep(0.001)
    return done
