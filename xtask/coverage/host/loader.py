"""The loader: brings in the host's other modules under names that coverage never measures."""

from __future__ import annotations

import os
import sys
import types


class Loader:
    """Loads modules of the host's folder.

    coverage leaves code alone whose file begins with `<`. No import system is
    involved, so our folder need not be on `sys.path`, where tests would see it.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._package = types.ModuleType("xtask_host")
        self._package.__path__ = []  # type: ignore[attr-defined]
        sys.modules["xtask_host"] = self._package

    def load(self, *names: str) -> types.ModuleType:
        """Load some modules, in the order in which they need each other; returns the last."""
        for name in names:
            module = types.ModuleType(f"xtask_host.{name}")
            sys.modules[module.__name__] = module
            setattr(self._package, name, module)
            exec(self._compile(name), module.__dict__)
        return module

    def _compile(self, name: str) -> types.CodeType:
        path = os.path.join(self.folder, f"{name}.py")
        with open(path, encoding="utf-8") as file:
            text = file.read()
        # The host's own tests want to know what they cover.
        seen = path if "XTASK_HOST_IS_MEASURED" in os.environ else f"<xtask {name}.py>"
        return compile(text, seen, "exec", dont_inherit=True)


def main(folder: str) -> None:
    loader = Loader(folder)
    loader.load("outlet", "commands", "run").run(sys.argv[1:], loader)
