"""Tea, with or without."""


def brew(lumps):
    if lumps < 0:
        raise ValueError(lumps)
    return "sweet" if lumps else "plain"
