"""The host: collects a pytest suite once, then forks a process for each unit it is told to run.

Started as `python host.py --fds CMD,EVENTS,SLOT0,... --config FILE` in the
project's folder; PROTOCOL.md says what is spoken over these descriptors. Nothing
but the first step is here: this file has a real name, and coverage would measure it.
"""

from __future__ import annotations

import os

HERE = os.path.dirname(os.path.abspath(__file__))


def main() -> None:
    with open(os.path.join(HERE, "loader.py"), encoding="utf-8") as file:
        code = compile(file.read(), "<xtask loader.py>", "exec", dont_inherit=True)
    loader: dict = {"__name__": "xtask_host.loader"}
    exec(code, loader)
    loader["main"](HERE)


if __name__ == "__main__":
    main()
