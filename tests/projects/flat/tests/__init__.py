"""The tests of `recipes`."""
