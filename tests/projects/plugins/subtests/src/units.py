"""Lengths of the old world."""

METRES = {"foot": 0.3, "yard": 0.9, "mile": 1609}


def metres(number, unit):
    if unit not in METRES:
        raise KeyError(unit)
    return number * METRES[unit]
