"""Runs programs under one of coverage's cores, or under ours, and tells their arcs.

Started as `python arcs.py FOLDER CORE FEATURES [NATIVE_DIR LIBRARY]`, for programs in the folder.
Features that matter here: `switch`, programs start and stop coverage themselves; `lines`, without
branches; `contexts`, functions begin contexts. Each line of the input is a JSON object with
`files`, to be run in this order. Each line of the output is an object with, by file, `contexts`
(their names to arcs; without branches arcs have one line), `outcome`, `recursion` (only for
`plain`, where nothing measures: whether the limit of recursion was reached; for `unmeasured`
nothing looks for that, either) and, by the name of a process that the program forked,
`children`.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import tempfile
import threading
import types
import warnings
from typing import Any

import aid
from coverage import Coverage, CoverageData

NATIVE, PLAIN, BARE = "native", "plain", "unmeasured"


class Runner:
    """One `Coverage`, and the programs that run under it."""

    def __init__(self, folder: str, measures: bool, features: list[str]) -> None:
        self.branch, self.switch = "lines" not in features, "switch" in features
        self.cov = Coverage(
            data_file=None,
            branch=self.branch,
            include=[os.path.join(folder, "*", "*")],
            config_file=False,
        )
        if "contexts" in features:
            self.cov.set_option("run:dynamic_context", "test_function")
        self.measures = measures
        self.recursion = False
        self.running = False
        self.process = os.getpid()
        self.name, self.forks = "0", 0
        self.folder = tempfile.mkdtemp(dir=folder)

    def start(self) -> None:
        if self.measures and not self.running:
            self.running = True
            self.cov.start()

    def stop(self) -> None:
        if self.running:
            self.running = False
            self.cov.stop()

    def context(self, name: str) -> None:
        if self.running:
            self.cov.switch_context(name)

    def fork(self) -> bool:
        """The parent waits, so that there is an order."""
        self.forks += 1
        pid = os.fork()
        if pid:
            os.waitpid(pid, 0)
            return False
        self.name += f".{self.forks}"
        return True

    def run(self, path: str) -> dict[str, Any]:
        """What came of it, the destructors of what is left included."""
        aid.reset()
        aid.State.start, aid.State.stop, aid.State.fork = self.start, self.stop, self.fork
        aid.State.context = self.context
        self.recursion = False
        module = types.ModuleType("program")
        module.__file__ = path
        aid.State.reload = lambda: load(module, path)
        sys.modules["program"] = module
        self.name, self.forks = "0", 0
        # A tracer of its own: the C tracer may be left with frames that it never saw returning.
        self.stop()
        if not self.switch:
            self.start()
            self.context("")
        aid.State.trace = sys.gettrace()
        outcome = outcome_of(module, path)
        if sys.gettrace() is not aid.State.trace and not self.switch:
            # A trace function of the program's own.
            sys.settrace(None)
        # Deletes what the module holds, in the order in which it came.
        for name in list(module.__dict__):
            module.__dict__.pop(name, None)
        gc.collect()
        outcome = " ".join((*aid.State.lines, outcome))
        if os.getpid() != self.process:
            self.end_child(path, outcome)
        told = {"outcome": outcome, "recursion": self.recursion}
        return {**told, "children": self.children()}

    def end_child(self, path: str, outcome: str) -> None:
        try:
            self.stop()
            if self.cov._collector:
                self.cov._data = CoverageData(no_disk=True)
                self.cov._collector.use_data(self.cov._data, None)
            told = {"outcome": outcome, **self.arcs([path])[0]}
            with open(os.path.join(self.folder, self.name), "w") as file:
                json.dump(told, file)
        finally:
            os._exit(0)

    def children(self) -> dict[str, Any]:
        """What processes left that the program forked."""
        found = {}
        for name in sorted(os.listdir(self.folder)):
            path = os.path.join(self.folder, name)
            with open(path) as file:
                found[name] = json.load(file)
            os.remove(path)
        return found

    def arcs(self, paths: list[str]) -> list[dict[str, Any]]:
        self.stop()
        if not self.cov._collector:
            return [{"contexts": {}} for _ in paths]
        data = self.cov.get_data()
        found: list[dict[str, Any]] = [{"contexts": {}} for _ in paths]
        for context in sorted(data.measured_contexts()):
            data.set_query_context(context)
            for path, told in zip(paths, found):
                told["contexts"][context] = self.executed(data, path)
        return found

    def executed(self, data: CoverageData, path: str) -> list[Any]:
        if self.branch:
            return sorted(data.arcs(path) or ())
        return [[line] for line in sorted(data.lines(path) or ())]

    def watch(self) -> None:
        """Notice that the limit of recursion is reached."""
        monitoring: Any = sys.monitoring
        events, tool = monitoring.events, 3
        monitoring.use_tool_id(tool, "fuzz")

        def notice(code: Any, offset: int, error: BaseException) -> None:
            if isinstance(error, RecursionError):
                self.recursion = True

        for event in (events.RAISE, events.PY_UNWIND):
            monitoring.register_callback(tool, event, notice)
        monitoring.set_events(tool, events.RAISE | events.PY_UNWIND)


def load(module: types.ModuleType, path: str) -> None:
    with open(path) as file:
        code = compile(file.read(), path, "exec")
    exec(code, module.__dict__)


def outcome_of(module: types.ModuleType, path: str) -> str:
    try:
        load(module, path)
    except BaseException as error:
        return type(error).__name__
    return "end"


def attach(cov: Coverage, folder: str, library: str) -> None:
    """Have a `Coverage` measure with our core, and be sure that it does."""
    package = types.ModuleType("xtask_host")
    package.__path__ = [folder]
    sys.modules["xtask_host"] = package
    importlib.import_module("xtask_host.native").attach(cov, library, insist=True)
    cov.start()
    cov.stop()
    if cov.xtask_core is not None:
        sys.exit(f"error: the native core does not measure: {cov.xtask_core}")


def main() -> None:
    folder, core, features, *native = sys.argv[1:]
    if core not in (NATIVE, PLAIN, BARE):
        os.environ["COVERAGE_CORE"] = core
    runner = Runner(folder, core not in (PLAIN, BARE), features.split(","))
    if core == PLAIN:
        runner.watch()
    if native:
        attach(runner.cov, *native)
    warnings.simplefilter("ignore")
    # Programs have errors where nobody catches them.
    sys.unraisablehook = threading.excepthook = lambda *_: None
    told = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    # When garbage is collected must depend on the program alone.
    gc.disable()
    for line in sys.stdin:
        gc.collect()
        gc.freeze()
        request = json.loads(line)
        paths = request["files"]
        ran = [runner.run(path) for path in paths]
        arcs = runner.arcs(paths)
        told.write(json.dumps([one | other for one, other in zip(ran, arcs)]) + "\n")
        told.flush()


if __name__ == "__main__":
    main()
