"""The host: collects a pytest suite once, then forks a process for each unit it is told to run.

Started as `python host.py --fds CMD,EVENTS,SLOT0,... --config FILE` in the
project's folder; PROTOCOL.md says what is spoken over these descriptors.
"""

from __future__ import annotations

import json
import os
import sys
import types

PROTOCOL = 1
HERE = os.path.dirname(os.path.abspath(__file__))


def load(name: str) -> types.ModuleType:
    """Load a sibling under a name that coverage never measures.

    coverage leaves code alone whose file begins with `<`. No import system is
    involved, so our folder need not be on `sys.path`, where tests would see it.
    """
    with open(os.path.join(HERE, f"{name}.py"), encoding="utf-8") as file:
        code = compile(file.read(), f"<xtask {name}.py>", "exec", dont_inherit=True)
    module = types.ModuleType(f"xtask_host.{name}")
    sys.modules[module.__name__] = module
    setattr(sys.modules["xtask_host"], name, module)
    exec(code, module.__dict__)
    return module


def main() -> None:
    package = types.ModuleType("xtask_host")
    package.__path__ = []  # type: ignore[attr-defined]
    sys.modules["xtask_host"] = package
    load("outlet")
    load("run").run(sys.argv[1:], load, HERE)


if __name__ == "__main__":
    main()
