"""Shards: collectors, forks of the host that collect a share of the test files each.

pytest collects by its own `perform_collect`, whose first `Session.genitems` is where
the ways part. A scout, a fork, goes down to the test files and tells which there are,
or why the suite must stay whole: then the host goes on as if nothing had been. Else
collectors are forked, and walk as pytest does but pass by the files of others, so that
conftests and test modules are imported in pytest's order. Each then serves as a host
does; the host itself leaves the collection and merges what they have measured.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
import time
import zlib
from collections.abc import Generator, Iterable
from typing import Any, Callable

import pytest

from xtask_host import children, ordering, stand_ins, unit, whole
from xtask_host.collectors import status_of
from xtask_host.commands import Channel
from xtask_host.event_pipe import getpid
from xtask_host.plugins import is_installed
from xtask_host.serve import Server
from xtask_host.session import HostSession


class Apart(BaseException):
    """Leads out of `perform_collect` past the hooks, where there is nothing to show them."""


class Files:
    """The test files that a walk comes by: each has a number, in pytest's order.

    Several nodes in a row may be one file: a module and its doctests, tests asked
    for by name.
    """

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.sizes: list[int] = []  # bytes

    def number(self, node: Any) -> int:
        file = node if isinstance(node, pytest.File) else node.getparent(pytest.File) or node
        id = str(file.nodeid)
        if not self.ids or self.ids[-1] != id:
            self.ids.append(id)
            self.sizes.append(_size(file.path))
        return len(self.ids) - 1


class Names:
    """A plugin that looks on while the names of a test module are made into tests.

    A module that several collectors share is imported by all; each makes tests of every n-th
    name only. Classes are one name. All must see the same names, or tests would be lost: they
    are compared by what is left of them in `seen`.
    """

    def __init__(self) -> None:
        self._file: int | None = None
        self._module: Any = None

    def begin(self, file: int, node: Any, part: list[int] | None) -> bool:
        """The next node of a file, perhaps of a part `[k, n]` of it, the k-th of n.

        Returns whether there is anything to collect: what is no module of pytest's own, doctests
        say, is not parted but in the first part.
        """
        if file != self._file:
            self._file, self._name, self.seen = file, -1, 0
        is_module = getattr(type(node), "collect", None) is pytest.Module.collect
        if not is_module:
            self._next(str(node.nodeid))
        self._module, self._part = node if is_module else None, part
        self._places: dict[Any, int] = {}
        self._began = time.perf_counter()
        self._imported: float | None = None
        self._last: tuple[Any, str] | None = None
        self.wide = False
        return is_module or part is None or part[0] == 0

    def _next(self, name: str) -> None:
        self._name += 1
        self.seen = zlib.crc32(name.encode(errors="backslashreplace"), self.seen)

    def end(self) -> tuple[float, float | None]:
        """The seconds of the node, and how many of them its parts could have shared.

        None where its tests have parameters of wider scope than a test: pytest brings those
        together that share one.
        """
        self._module = None
        now = time.perf_counter()
        apart = 0.0 if self._imported is None else now - self._imported
        return now - self._began, None if self.wide else apart

    def place(self, item: pytest.Item) -> int:
        """The place among the names of a parted module; 0 where one collector has them all."""
        function = item.parent, getattr(item, "originalname", None) or item.name
        if function != self._last:
            self._last = function
            scopes = whole.parameter_scopes(item)
            wide = scopes is None or any(scope.value != "function" for scope in scopes.values())
            self.wide = self.wide or wide
            self._place = self._places.get(self._named(item), self._name) if self._part else 0
        return self._place

    def _named(self, item: pytest.Item) -> Any:
        """The node that the test comes from, of those that stand for names."""
        node: Any = item
        while node.parent not in (self._module, None):
            node = node.parent
        return node

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_pycollect_makeitem(self, collector: Any, name: str) -> Generator[None, Any, Any]:
        if collector is not self._module:
            return (yield)
        self._next(name)
        if self._imported is None:
            self._imported = time.perf_counter()
        made = yield
        if self._part is None:
            return made
        if self._is_another_s():
            return []
        for node in made if isinstance(made, list) else [made]:
            self._places[node] = self._name
        return made

    @pytest.hookimpl(tryfirst=True, specname="pytest_pycollect_makeitem")
    def pytest_pass_by(self, collector: Any) -> list[Any] | None:
        # pytest looks at names that begin like those of its hooks only.
        return [] if collector is self._module and self._is_another_s() else None

    def _is_another_s(self) -> bool:
        return self._part is not None and self._name % self._part[1] != self._part[0]


class Places:
    """The tests of a collector, each with its place among those of all.

    By identity: hooks may give a test another id, and with that goes its hash.
    """

    def __init__(self) -> None:
        self.items: list[pytest.Item] = []
        self._places: dict[int, tuple[int, int]] = {}

    def put(self, item: pytest.Item, place: tuple[int, int]) -> None:
        self.items.append(item)
        self._places[id(item)] = place

    def of(self, item: pytest.Item) -> tuple[int, int]:
        return self._places[id(item)]

    def has(self, item: pytest.Item) -> bool:
        return id(item) in self._places

    def all(self) -> Iterable[tuple[pytest.Item, tuple[int, int]]]:
        return [(item, self.of(item)) for item in self.items]

    def among(self, items: list[pytest.Item]) -> Places:
        """The places in a list of all: of those in a row that of the first."""
        found, before = Places(), None
        for at, item in enumerate(items):
            before = (at if before is None else before) if self.has(item) else None
            if before is not None:
                found.put(item, (before, 0))
        return found

    def why_not_parts(self, items: list[pytest.Item]) -> str | None:
        """Why the whole would be something else than the parts, where no hook saw the whole."""
        if not all(map(self.has, items)):
            return "a hook adds tests"
        places = list(map(self.of, items))
        return None if places == sorted(places) else "a hook moves tests from file to file"


class Shards:
    """The plugin that parts the collection; in each process it knows which one that is."""

    def __init__(
        self,
        channels: list[Channel],
        settings: dict[str, Any],
        host: HostSession,
        server: Server,
        measurement: Any,
    ) -> None:
        self._channels = channels
        self._settings = settings
        self._host = host
        self._server = server
        self._measurement = measurement
        self._collector: int | None = None
        self._roots: list[Any] = []
        self._places = Places()  # the file, and in it
        self._nodes: dict[int, list[Any]] = {}  # of each test file, whoever collects it
        self._test_files: set[str] = set()
        self._why: str | None = None
        self._why_whole: str | None = None  # files that were parted must not be
        # Of the project, with hooks that may order tests; the digests of what they have to do with.
        self._owners: list[str] = []
        self._digests: dict[str, str] = {}
        self._learns = False  # hooks of the session's end, from those
        self._everything: list[Any] = []  # as hooks are to see it, before they have

    # Wrappers run before the `tryfirst` implementations of other plugins.
    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection(self, session: pytest.Session) -> Generator[None, Any, Any]:
        session.genitems = lambda node: self._first(session, node)  # type: ignore[method-assign]
        try:
            return (yield)
        except Apart:
            return None
        except stand_ins.Unknown as error:
            self._give_up(self._looked_closer(error))
        except BaseException as error:
            if self._everything and (stand_ins.missed or not status_of(error)[1]):
                # With the tests themselves it may not happen; if it does, it is told then.
                self._give_up(f"{self._who()} fails with a part of the tests ({error!r})")
            if self._collector is not None:
                self._leave_because(error)
            raise
        finally:
            vars(session).pop("genitems", None)
            if self._channels:
                self._cannot("there is nothing to collect")

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(self, collector: Any) -> Generator[None, Any, Any]:
        report = yield
        if isinstance(collector, pytest.Session):
            self._roots = report.result
        if self._collector:
            # Collectors all meet the same folders: the first is enough to tell of them.
            self._host.quiet = isinstance(collector, pytest.Directory)
        return report

    def _first(self, session: pytest.Session, node: Any) -> Iterable[pytest.Item]:
        """In place of the first `genitems`: pytest's own, or all of this collector's share."""
        del session.genitems
        scouted: dict[str, Any] = {"why": self._why_at_once(session)}
        if scouted["why"] is None:
            scouted = self._scout(session)
        if scouted["why"] is not None:
            self._cannot(scouted["why"])
            return session.genitems(node)
        self._owners, self._digests = scouted["owners"], scouted["digests"]
        self._learns = scouted["learns"]
        return self._part(session, scouted["files"], scouted["conftests"])

    def _why_at_once(self, session: pytest.Session) -> str | None:
        if self._settings["engine"] != "fork":
            return "collectors are forks"
        if self._settings["force_forks"]:
            return whole.why_at_once(session.config)
        found = self._server.hazards().hazards
        if found:
            return f"{found[0]}, so forks are not safe"
        return whole.why_at_once(session.config)

    def _cannot(self, why: str) -> None:
        self._host.events.send({"event": "cannot-shard", "why": why})
        while self._channels:
            self._channels.pop().close()

    def _scout(self, session: pytest.Session) -> dict[str, Any]:
        """Look around, in a process of its own."""
        self._server.surround(session)
        # A file, not a pipe: what conftests have started there may outlive it.
        report = os.path.join(self._settings["work_dir"], "scout.json")
        pid = self._server.fork_scout()
        if pid == 0:
            with contextlib.suppress(BaseException):
                told = json.dumps(self._look_around(session))
                with open(report, "w", encoding="ascii") as file:
                    file.write(told)
            # Conftests have been imported here: what they have made goes with this process.
            unit.leave(0, self._server.endings)
        children.wait(pid)
        try:
            with open(report, encoding="ascii") as file:
                return json.load(file)
        except (OSError, ValueError):
            return {"why": "looking for test files failed"}

    def _look_around(self, session: pytest.Session) -> dict[str, Any]:
        """What a scout tells: the files and their sizes, whether conftests have been met, whose
        hooks order tests, why there can be no parts."""
        before = len(session.config.pluginmanager.get_plugins())
        files = Files()
        _walk(session, self._roots, files, lambda *_: ())
        conftests = len(session.config.pluginmanager.get_plugins()) > before
        owners = ordering.owners(session.config)
        digests = {}
        why = whole.why_of_plugins(session.config)
        if not files.ids:
            why = "there is nothing to collect"
        elif len(set(files.ids)) < len(files.ids):
            why = "a file is given more than once"
        elif not self._settings["force_forks"] and self._server.hazards().hazards:
            why = f"{self._server.hazards().hazards[0]}, so forks are not safe"
        elif why is None and owners:
            digests = ordering.digests(session.config, files.ids)
            why = self._why_of_order(owners, digests)
        return {
            "files": [list(file) for file in zip(files.ids, files.sizes)],
            "conftests": conftests,
            "owners": owners,
            "learns": whole.learns_for_the_end(session.config),
            "digests": digests,
            "why": why,
        }

    def _why_of_order(self, owners: list[str], digests: dict[str, str]) -> str | None:
        known = self._settings["order"]
        return None if known is None else whole.why_of_order(owners[0], known, digests)

    def _part(
        self, session: pytest.Session, files: list[Any], conftests: bool
    ) -> Iterable[pytest.Item]:
        self._host.events.send({"event": "files", "files": files})
        self._collectors, number = min(len(self._channels), len(files)), 0
        while self._channels:
            channel = self._channels.pop(0)
            if number < len(files) and self._server.fork_collector(number):
                return self._collect(session, number, channel, [id for id, _ in files])
            channel.close()
            number += 1
        if conftests or self._owners:
            # Their hooks take part in the session's end.
            self._host.quiet = True
            _walk(session, self._roots, Files(), self._note)
        self._host.loop = self._merge
        raise _apart(session)

    # In the host

    def _merge(self, session: pytest.Session) -> None:
        errors = self._server.merge(session)
        if self._learns:
            self._show_tests(session)
        if errors and not session.config.option.continue_on_collection_errors:
            raise session.Interrupted(f"{errors} errors during collection")

    def _show_tests(self, session: pytest.Session) -> None:
        """Have hooks see all tests that share what they learn with those of the session's end."""
        try:
            session.items = self._with_others(set())
            hook = session.config.hook.pytest_collection_modifyitems
            hook(session=session, config=session.config, items=session.items)
        except (Exception, stand_ins.Unknown) as error:
            text = f"hooks of the session's end do not know of the tests: {error!r}"
            self._host.events.send({"event": "warning", "text": text})

    def _note(self, node: Any, index: int) -> Iterable[pytest.Item]:
        self._nodes.setdefault(index, []).append(node)
        return ()

    # In a collector

    def _collect(
        self, session: pytest.Session, number: int, channel: Channel, ids: list[str]
    ) -> Iterable[pytest.Item]:
        self._collector = number
        self._process = getpid()
        while self._channels:
            self._channels.pop().close()
        self._server.become_collector(number, channel.commands, channel.events)
        self._tell_places(channel.events)
        self._host.loop = self._serve
        started = {"event": "collector-started", "collector": number, "pid": getpid()}
        channel.events.send(started)
        command = channel.commands.first()
        if command is None or command.get("cmd") != "collect":
            self._leave(0)
        before = set(sys.modules)
        parts = {int(file): part for file, part in command.get("parts", {}).items()}
        share = set(command["files"])
        self._generate(session, share, parts, ids)
        if self._owners:
            stand_ins.tell(self._places.all(), self._nodes, self._told_by(number))
        self._import_as_others(session, channel, before)
        if not self._places.items:
            # Hooks would see a session without tests, which there is none of.
            raise _apart(session)
        if self._owners:
            self._everything = self._with_others({*share, *parts})
        return self._everything or list(self._places.items)

    def _tell_places(self, events: Any) -> None:
        self._host.become_collector(events, self._places.of, self._places.has)

    def _told_by(self, collector: int) -> str:
        return os.path.join(self._settings["work_dir"], f"tests-{collector}.pickle")

    def _with_others(self, own: set[int]) -> list[Any]:
        """All tests in their order before hooks: this process's, and what stands for others."""
        found = [(place, item) for item, place in self._places.all()]
        for collector in range(self._collectors):
            if collector != self._collector:
                found += stand_ins.stand_in(self._told_by(collector), self._nodes, own)
        found.sort(key=lambda one: one[0])
        return [item for _, item in found]

    def _generate(
        self, session: pytest.Session, share: set[int], parts: dict[int, list[int]], ids: list[str]
    ) -> None:
        files, names = Files(), Names()

        def generate(node: Any, index: int) -> Iterable[pytest.Item]:
            self._note(node, index)
            part = parts.get(index)
            if index not in share and part is None:
                return ()
            self._test_files.add(os.path.realpath(node.path))
            if names.begin(index, node, part):
                for item in session.genitems(node):
                    self._places.put(item, (index, names.place(item)))
            seconds, apart = names.end()
            self._host.took(index, seconds, apart, names.seen if part is not None else None)
            if names.wide and part is not None:
                self._why_whole = f"parameters in `{ids[index]}` have a wider scope than a test"
            return ()

        if share or parts:
            session.config.pluginmanager.register(names)
            try:
                _walk(session, self._roots, files, generate)
            finally:
                session.config.pluginmanager.unregister(names)
            if files.ids != ids:
                self._why = "test files come and go while they are collected"

    def _import_as_others(
        self, session: pytest.Session, channel: Channel, before: set[str]
    ) -> None:
        """Import what test files of other collectors have: tests may count on it unawares."""
        own = [
            name
            for name, module in sys.modules.copy().items()
            if name not in before and self._is_for_all(module)
        ]
        files = self._files_by_name(session, before)
        channel.events.send({"event": "imported", "modules": own, "files": files})
        command = channel.commands.first()
        if command is None or command.get("cmd") != "import":
            self._leave(0)
        for name in command["modules"]:
            if name not in sys.modules:
                # What cannot be imported alone, tests of this share do not ask for by name.
                with contextlib.suppress(Exception, SystemExit):
                    importlib.import_module(name)

    def _files_by_name(self, session: pytest.Session, before: set[str]) -> dict[str, str]:
        """Which files of the project the share has imported, under which names.

        Two test files of one module name are an error, unless they meet in no process; and of
        two helpers beside them the first that is imported serves both.
        """
        top = os.path.join(session.config.rootpath, "")
        found = {}
        for name in set(sys.modules) - before:
            file = getattr(sys.modules.get(name), "__file__", None)
            if isinstance(file, str) and file.startswith(top) and not is_installed(file):
                found[name] = file[len(top) :]
        # Conftests may share a name: pytest sees to that.
        return {
            name: file for name, file in found.items() if os.path.basename(file) != "conftest.py"
        }

    def _is_for_all(self, module: Any) -> bool:
        """Not a test file, nor what comes with it, nor what only looks like a module."""
        file = getattr(module, "__file__", None) or ""
        is_test = os.path.realpath(file) in self._test_files
        known = getattr(module, "__spec__", None) is not None
        return known and not is_test and os.path.basename(file) != "conftest.py"

    def _serve(self, session: pytest.Session) -> None:
        """In place of the loop: as a host does it, but for the session's end."""
        try:
            why = self._why or whole.wide_parameters(self._places.items) or self._settle(session)
            if why or self._why_whole:
                self._tell_reordered(why or self._why_whole, parts=why is None)
            else:
                self._host.serve_all(session)
        except BaseException as error:
            self._leave_because(error)
        self._leave(0)

    def _settle(self, session: pytest.Session) -> str | None:
        """Take the places of this collector's tests from the order that hooks have given all.

        Returns why that cannot be done.
        """
        if not self._everything:
            return self._places.why_not_parts(session.items)
        if stand_ins.missed:
            return self._looked_closer(stand_ins.missed[0])
        items = session.items
        left, known = set(map(id, items)), set(map(id, self._everything))
        if len(left) < len(items) or not left <= known:
            return f"{self._who()} adds tests"
        result = ordering.result(self._everything, items)
        order = {**self._digests, "owners": self._owners, "result": result, "tests": len(items)}
        self._host.order = order
        self._places = self._places.among(items)
        session.items = list(self._places.items)
        self._tell_places(self._host.events)
        self._everything = []
        return None

    def _who(self) -> str:
        return " or ".join(f"`{owner}`" for owner in self._owners)

    def _looked_closer(self, what: object) -> str:
        return f"{self._who()} looks into {what}, which is in another process"

    def _give_up(self, why: str) -> None:
        self._tell_reordered(why, parts=False)
        self._leave(0)

    def _tell_reordered(self, why: str | None, parts: bool) -> None:
        self._host.events.send({"event": "reordered", "why": why, "parts": parts})

    def _leave_because(self, error: BaseException) -> None:
        self._server.leave_because(error, self._process)

    def _leave(self, status: int) -> None:
        self._server.leave_collector(status, self._process)


def _walk(
    session: pytest.Session,
    roots: list[Any],
    files: Files,
    generate: Callable[[Any, int], Iterable[pytest.Item]],
) -> None:
    """Walk as pytest does, by its own recursion, and hand each node of a file to `generate`."""
    own = type(session).genitems

    def look(node: Any) -> Iterable[pytest.Item]:
        if isinstance(node, pytest.Directory):
            return own(session, node)
        del session.genitems  # inside of a file it is pytest's
        try:
            return generate(node, files.number(node))
        finally:
            session.genitems = look  # type: ignore[method-assign]

    session.genitems = look  # type: ignore[method-assign]
    for root in roots:
        for _ in look(root):
            pass
    # Nothing is left for the roots that `perform_collect` goes on with.
    session.genitems = lambda _: ()  # type: ignore[method-assign]


def _size(path: Any) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _apart(session: pytest.Session) -> Apart:
    """`perform_collect` calls this hook whatever happens: spare its implementations."""
    session.config.hook.pytest_collection_finish = lambda **_: None
    return Apart()
