"""The controller: pytest's session in the host, where plugins hear of all tests.

To plugins it is what the process is that runs `pytest -n`: it knows a node for each worker,
hears reports in order of arrival, and decides with its own exit status at the end.
"""

from __future__ import annotations

import functools
import os
import platform
import sys
from typing import Any

import pytest

from xtask_host import replays, workers
from xtask_host.text import as_text, pack, unpack


class _Spec:
    """Of a gateway: a process on this machine."""

    def __init__(self, name: str) -> None:
        self.id = name
        self.popen = True
        self.chdir = None
        self.python = None


class _Gateway:
    def __init__(self, name: str) -> None:
        self.id = name
        self.spec = _Spec(name)


class Node:
    """A worker as the controller knows it; pytest-xdist's has these attributes."""

    def __init__(self, config: pytest.Config, settings: dict[str, Any], slot: int) -> None:
        self.config = config
        self.gateway = _Gateway(f"gw{slot}")
        self.workerinput = workers.new_input(settings, slot)

    @functools.cached_property
    def workerinfo(self) -> dict[str, Any]:
        """Made for who asks: Python starts a process to find out the processor."""
        return {
            "version": sys.version,
            "version_info": tuple(sys.version_info),
            "sysplatform": sys.platform,
            "platform": platform.platform(),
            "executable": sys.executable,
            "cwd": os.getcwd(),
            "id": self.gateway.id,
            "spec": self.gateway.spec,
        }

    def __repr__(self) -> str:
        return f"<Node {self.gateway.id}>"


class Scheduler:
    """What `pytest_handlecrashitem` is given; a crashed test is not tried again by plugins."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config

    def mark_test_pending(self, item: str) -> None:
        raise NotImplementedError("use `--retries` to try crashed tests again")


class Controller:
    """The plugin of the host's session that other plugins see as pytest-xdist's controller."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = settings
        self.nodes: list[Node] = []
        self._ready: set[int] = set()
        self._session: pytest.Session | None = None

    def look_like_one(self, option: Any) -> None:
        """Have plugins know before they are configured that tests run in other processes."""
        option.numprocesses = self._settings["nodes"]

    def look_like_one_at_work(self, option: Any) -> None:
        """The same, in words by which pytest-xdist itself would start its workers: it must have
        been configured without them."""
        option.dist = "load"
        option.tx = ["popen"] * self._settings["nodes"]

    @pytest.hookimpl(trylast=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        self._session = session
        if self._settings["identity"] != "xdist":
            return
        self._add_nodes(self._settings["nodes"])

    def _add_nodes(self, count: int) -> None:
        """Have plugins know so many workers: there may come to be more than at the start."""
        for slot in range(len(self.nodes), count):
            node = Node(self._session.config, self._settings, slot)
            self.nodes.append(node)
            self._call("pytest_configure_node", node=node)

    def _call(self, hook: str, **arguments: Any) -> None:
        # Without pytest-xdist and without an implementation there is no such hook.
        caller = getattr(self._session.config.hook, hook, None)
        if caller is not None:
            caller(**arguments)

    def nodes_event(self, level: int) -> dict[str, Any]:
        inputs = [pack(node.workerinput) for node in self.nodes]
        return {"event": "nodes", "inputs": inputs, "replays": level}

    def input_of(self, slot: int) -> dict[str, Any] | None:
        return self.nodes[slot].workerinput if slot < len(self.nodes) else None

    def _node(self, slot: int) -> Node:
        if not self.nodes:
            return Node(self._session.config, self._settings, slot)
        self._add_nodes(slot + 1)
        node = self.nodes[slot]
        if slot not in self._ready:
            self._ready.add(slot)
            self._call("pytest_testnodeready", node=node)
        return node

    def replay(self, slot: int, calls: str) -> None:
        replays.replay(unpack(calls), self._session, self._node(slot))

    def crashed(self, slot: int, nodeid: str, text: str) -> None:
        """A test whose process died, or was ended at a limit, has no report but this one."""
        node = self._node(slot)
        report = replays.crash_report(nodeid, text, node)
        config = self._session.config
        arguments = {"crashitem": nodeid, "report": report, "sched": Scheduler(config)}
        self._call("pytest_handlecrashitem", **arguments)
        config.hook.pytest_runtest_logreport(report=report)

    def down(self, slot: int, output: str | None, error: str | None) -> None:
        """A worker has gone: what its plugins have left, or how it died."""
        node = self._node(slot)
        vars(node).pop("workeroutput", None)
        if output is not None:
            node.workeroutput = unpack(output)  # type: ignore[attr-defined]
        self._call("pytest_testnodedown", node=node, error=error)
        vars(node).pop("workeroutput", None)

    def stopped(self) -> tuple[str, str] | None:
        """Whether a plugin wants the session to end: how, and its words."""
        session = self._session
        for how in ("shouldfail", "shouldstop"):
            words = getattr(session, how, False)
            if words:
                return how, as_text(words)
        return None


class StandIn:
    """Registered as `xdist` where pytest-xdist is not installed: plugins that can do with
    workers look for that name before they do."""


class XdistHooks:
    """The hooks of pytest-xdist, for the same plugins."""

    def pytest_xdist_setupnodes(self, config: Any, specs: Any) -> None: ...
    def pytest_xdist_newgateway(self, gateway: Any) -> None: ...
    def pytest_configure_node(self, node: Any) -> None: ...
    def pytest_testnodeready(self, node: Any) -> None: ...
    def pytest_testnodedown(self, node: Any, error: Any) -> None: ...
    def pytest_xdist_node_collection_finished(self, node: Any, ids: Any) -> None: ...
    def pytest_handlecrashitem(self, crashitem: Any, report: Any, sched: Any) -> None: ...


def stand_in_for_xdist(manager: pytest.PytestPluginManager) -> None:
    """Once all plugins have been loaded that are no conftests, and none of them is it."""
    if not (manager.hasplugin("xdist") or manager.is_blocked("xdist")):
        manager.add_hookspecs(XdistHooks)
        manager.register(StandIn(), "xdist")
