"""The loader: brings in the host's other modules under names that coverage never measures."""

from __future__ import annotations

import contextlib
import importlib.util
import marshal
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
        with open(path, "rb") as file:
            text = file.read()
        # The host's own tests want to know what they cover.
        if "XTASK_HOST_IS_MEASURED" in os.environ:
            return compile(text, path, "exec", dont_inherit=True)
        kept = os.path.splitext(importlib.util.cache_from_source(path))[0] + ".code"
        # As in Python's own files beside it, but for the name that the code has.
        stamp = importlib.util.MAGIC_NUMBER + importlib.util.source_hash(text)
        code = _read(kept, stamp)
        if code is None:
            code = compile(text, f"<xtask {name}.py>", "exec", dont_inherit=True)
            _keep(kept, stamp + marshal.dumps(code))
        return code


def _read(kept: str, stamp: bytes) -> types.CodeType | None:
    """What was compiled before from the same text by the same Python."""
    with contextlib.suppress(OSError, ValueError, EOFError, TypeError):
        # Should a pipe be in its place, nobody will write to it.
        with open(os.open(kept, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            content = file.read()
        if content.startswith(stamp):
            return marshal.loads(content[len(stamp) :])
    return None


def _keep(kept: str, content: bytes) -> None:
    """Compiling all of the host takes longer than a short test: once for each Python."""
    temporary = f"{kept}.{os.getpid()}"
    with contextlib.suppress(OSError):
        os.makedirs(os.path.dirname(kept), exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(content)
        os.replace(temporary, kept)


def main(folder: str) -> None:
    loader = Loader(folder)
    loader.load("event_pipe", "commands", "children", "run").run(sys.argv[1:], loader)
