"""Asks the system, which tests would rather not."""

import os
import time


def process():
    return f"process {os.getpid()}"


def took(work):
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def end(code):
    if code:
        os._exit(code)
    return os.fork()


def note(descriptor, text):
    return os.write(descriptor, text)
