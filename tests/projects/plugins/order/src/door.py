"""A door that must be unlocked before it opens."""


class Door:
    def __init__(self):
        self.state = "locked"

    def unlock(self):
        self.state = "closed"

    def open(self):
        if self.state == "locked":
            raise RuntimeError("locked")
        self.state = "open"


front = Door()
back = Door()
