"""Roles: what a process of ours is to plugins, and what it does at each step of its session.

With the fork engine the host is both at once, as a rule: it collects, as a sequential run does,
and hears of tests, as pytest-xdist's controller does. Plugins that do one thing in a controller
and another in workers get two processes: a controller that does not collect, and a worker, forked
before anything was configured, that collects and forks the processes of tests.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import Any

import pytest

from xtask_host import temporary, unit, workers
from xtask_host.closing import Closing
from xtask_host.controller import Controller
from xtask_host.event_pipe import EventPipe, exit_now, getpid
from xtask_host.listeners import Listeners
from xtask_host.text import as_text, pack, unpack


class Role:
    """Steps of a session; nothing happens at most of them."""

    def before_configure(self, config: pytest.Config) -> None:
        """All plugins have been loaded, and conftests as far as pytest looks for them at once."""

    def configure(self, config: pytest.Config) -> None:
        """Before other plugins are configured."""

    def starting(self, session: pytest.Session) -> None:
        """Before other plugins hear of the session."""

    def started(self, session: pytest.Session) -> None:
        """Before anything is collected."""

    def tests_are_over(self, session: pytest.Session) -> None:
        """Nothing more is heard of tests."""

    def finishing(self, session: pytest.Session, status: int) -> None:
        """Before other plugins hear of the session's end."""

    def finished(self, session: pytest.Session) -> None:
        """After them."""

    def give_up(self, why: str) -> None:
        """Tests cannot be run from here: `why` names what has a loop of its own for them."""

    def said(self, status: int) -> dict[str, Any] | None:
        """What the session has to say when it is over, with its exit status."""


class Parent(Role):
    """The host of the fork engine, and the controller of the spawn engine."""

    def __init__(self, settings: dict[str, Any], events: EventPipe, server: Any, host: Any) -> None:
        self._settings = settings
        self._events = events
        self._server = server
        self._host = host
        self._collects = settings["engine"] != "controller"
        self.controller = server.controller = Controller(settings)
        self._closing = Closing(settings["output_limit"])
        self._worker: WorkerBefore | None = None
        self._looks_like_one = not self._collects

    def before_configure(self, config: pytest.Config) -> None:
        if not self._collects or not self._server.channels or config.option.collectonly:
            return
        if not Listeners(config).may_be_two_sided():
            return
        self._worker = WorkerBefore(self._settings, self._server, self._host)
        orders = self._worker.fork()
        if orders is None:
            self._looks_like_one = True
            return
        self._host.role = self._worker
        self._worker.begin(config, orders)

    def configure(self, config: pytest.Config) -> None:
        if self._looks_like_one:
            self.controller.look_like_one(config.option)

    def starting(self, session: pytest.Session) -> None:
        if self._looks_like_one:
            self.controller.look_like_one_at_work(session.config.option)

    def started(self, session: pytest.Session) -> None:
        listeners = Listeners(session.config)
        if not self._collects:
            self._leave_collection_to_workers(session)
            self._tell_nodes(session, listeners)
            return
        two_sided = listeners.two_sided() if self._worker is not None else None
        if two_sided is not None:
            self._leave_collection_to_workers(session)
            level = listeners.level()
            self._listen(session.config, level)
            event = {"event": "worker-collects", "why": f"{two_sided} knows workers"}
            self._events.send({**event, "replays": level})
            self._worker.go(self.controller, level)
            without_shards(session.config)
            self._server.drop_channels()
            return
        if self._worker is not None:
            # As in a sequential run: it collects, and what it looked like is not so.
            self._worker.dismiss()
            workers.look_sequential(session.config.option)
        if self._settings["spare"]:
            self._server.drop_channels()
            self._events.send({"event": "host-collects"})

    def _leave_collection_to_workers(self, session: pytest.Session) -> None:
        session.items = []
        session.config.pluginmanager.register(DoesNotCollect())
        self._host.loop = self._server.merge

    def _tell_nodes(self, session: pytest.Session, listeners: Listeners) -> None:
        level = listeners.level()
        self._listen(session.config, level)
        self._events.send(self.controller.nodes_event(level))

    def _listen(self, config: pytest.Config, level: int) -> None:
        if level:
            self._closing.listen_to_output(config)

    def tests_are_over(self, session: pytest.Session) -> None:
        self._closing.begin(session)

    def give_up(self, why: str) -> None:
        _give_up(self._events, why)

    def said(self, status: int) -> dict[str, Any] | None:
        return self._closing.told(status)


class DoesNotCollect:
    """A plugin of a controller: its workers collect."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> bool:
        return True


class Worker(Role):
    """A host of the spawn engine."""

    def __init__(self, settings: dict[str, Any], events: EventPipe, server: Any, host: Any) -> None:
        self._settings = settings
        self._events = events
        self._server = server
        self._host = host
        self._slot = settings["slot"]
        self._natural = 0

    def before_configure(self, config: pytest.Config) -> None:
        """Wait for what plugins of the controller have for this worker."""
        command = self._server.first_command() or {}
        packed = command.get("input")
        given = unpack(packed) if packed is not None else None
        self._host.reporter.replayed = command.get("replays", 0)
        temporary.share(config, self._settings["basetemp_file"], f"popen-gw{self._slot}")
        workers.become(config, self._settings, self._slot, given)

    def give_up(self, why: str) -> None:
        _give_up(self._events, why)

    def finishing(self, session: pytest.Session, status: int) -> None:
        self._natural = status
        output = getattr(session.config, "workeroutput", None)
        if output is not None:
            workers.note_status(session, output, status)

    def finished(self, session: pytest.Session) -> None:
        output = getattr(session.config, "workeroutput", {})
        event = {"event": "worker-down", "slot": self._slot, "output": pack(output)}
        found = workers.own_status(session, self._natural)
        self._events.send({**event, "status": found} if found else event)


class WorkerBefore(Role):
    """A worker that is forked before plugins are configured, and waits to be needed.

    Only after that is it known whether some plugin tells workers from the controller, and to
    those a process has to be one of them from the start.
    """

    def __init__(self, settings: dict[str, Any], server: Any, host: Any) -> None:
        self._settings = settings
        self._server = server
        self._host = host
        self._process = 0

    def fork(self) -> Any:
        """None in the host; in the worker, which comes back when it is needed, its orders."""
        ours, self._tell = os.pipe()
        if not self._server.fork_collector(0):
            os.close(ours)
            return None
        os.close(self._tell)
        with os.fdopen(ours, "rb") as orders:
            packed = orders.read().decode("ascii")
        if not packed:
            exit_now(0)
        return unpack(packed)

    def go(self, controller: Controller, level: int) -> None:
        inputs = [node.workerinput for node in controller.nodes]
        self._send(pack([inputs, level]).encode("ascii"))

    def dismiss(self) -> None:
        self._send(b"")
        self._server.forget_collector(0)

    def _send(self, data: bytes) -> None:
        with os.fdopen(self._tell, "wb") as pipe:
            pipe.write(data)

    # In the worker

    def begin(self, config: pytest.Config, orders: Any) -> None:
        self._process = getpid()
        self._inputs, self._host.reporter.replayed = orders
        own = self._server.channels.pop(0)
        self._server.drop_channels()
        events = self._events = own.events
        unit.settle(config, self._server.endings)
        unit.send_output_to(self._settings["worker_log"], config)
        without_shards(config)
        self._server.become_collector(0, own.commands, events)
        self._server.workerinputs = self._inputs
        self._host.become_collector(events, lambda item: (0, 0))
        self._host.loop = self._serve
        started = {"event": "collector-started", "collector": 0, "pid": self._process}
        events.send(started)
        given = self._inputs[0] if self._inputs else None
        temporary.share(config, self._settings["basetemp_file"], "worker")
        workers.become(config, self._settings, 0, given)

    def starting(self, session: pytest.Session) -> None:
        unit.silence_terminal(session.config)

    def _serve(self, session: pytest.Session) -> None:
        try:
            self._host.serve_all(session)
        except BaseException as error:
            self._server.leave_because(error, self._process)
        self._server.leave_collector(0, self._process)

    def give_up(self, why: str) -> None:
        _give_up(self._events, why)


def without_shards(config: pytest.Config) -> None:
    """One process collects all: the plugin that parts the collection has nothing to do."""
    for plugin in config.pluginmanager.get_plugins():
        if type(plugin).__module__ == "xtask_host.shards":
            config.pluginmanager.unregister(plugin)


def _give_up(events: EventPipe, why: str) -> None:
    """Leave at once: the hooks of the session's end would believe that no test was there."""
    events.send({"event": "cannot-host", "why": as_text(why)})
    events.send({"event": "bye", "exit": 0})
    sys.stdout.flush()
    threading._shutdown()
    exit_now(0)
