"""The run: the order in which the host does things, from its arguments to `bye`."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import sys
import traceback
import types
from typing import Any

from xtask_host.commands import Commands
from xtask_host.event_pipe import EventPipe, exit_now, move_high

PROTOCOL = 1
_DEFAULTS: dict[str, Any] = {
    "slot": 0,
    "slots": 1,
    "nodes": None,
    "collectors": 0,
    "spare": False,
    "engine": "fork",
    "args": [],
    "coverage": None,
    "freeze": True,
    "identity": "xdist",
    "basetemp": None,
    "basetemp_file": None,
    "output_limit": 65536,
    "force_forks": False,
    "trial": False,
    "worker_variables": None,
    "worker_log": None,
    "last_failed": None,
    "order": None,
}
# Of pytest.
_INTERNAL_ERROR, _USAGE_ERROR = 3, 4


def run(argv: list[str], loader: Any) -> None:
    fds, outputs, settings = _read_arguments(argv)
    commands = Commands(fds[0])
    first = len(fds) - 2 * (settings["collectors"] or int(settings["spare"]))
    events, *slots = map(EventPipe, fds[1:first])
    _behave_like_python_m(loader.folder)
    # Before anything of the project can look.
    names = loader.load("worker_variables", "worker_names")
    if settings["identity"] == "xdist" and settings["engine"] in ("fork", "spawn"):
        names.listen()
    if settings["engine"] == "spawn":
        loader.load("usage").raise_oom_score()
        loader.load("text", "workers").announce(settings, settings["slot"])
    if settings["worker_variables"] is not None and not _has_worker_variables(
        settings, names, commands, events
    ):
        return
    try:
        measurement = _start_coverage(settings, loader)
        if settings["engine"] == "gather":
            _gather(settings, loader, commands, events, measurement)
            return
        # From here on coverage looks: at pytest, its plugins, and all they import.
        import pytest
    except Exception as error:
        # No coverage, no pytest, settings that coverage refuses, or nothing is measured.
        is_ours = isinstance(error, RuntimeError)
        why = str(error) if is_ours else f"{type(error).__name__}: {error}"
        exit = _INTERNAL_ERROR if is_ours else _USAGE_ERROR
        events.send({"event": "bye", "exit": exit, "why": why})
        return
    loader.load(
        *(
            "text",
            "plugins",
            "whole",
            "ordering",
            "stand_ins",
            "replays",
            "usage",
            "pytest_reports",
            "workers",
            "listeners",
        ),
        *("controller", "closing", "together", "last_failed", "temporary", "garbage", "endings"),
        *(
            "unit",
            "rows",
            "stacks",
            "writers",
            "collectors",
            "hazards",
            "random_state",
            "serve",
            "roles",
        ),
        *("session", "shards"),
    )
    events.send(_hello(pytest, measurement))
    server = sys.modules["xtask_host.serve"].Server(settings, commands, events, slots, measurement)
    server.outputs = list(map(move_high, outputs))
    plugins = _plugins(settings, events, server, measurement, fds[first:])
    server.note_start()
    status = _run_pytest(pytest, _arguments(settings), plugins, events)
    said = plugins[0].role.said(status)
    if said is not None:
        events.send(said)
    _say_goodbye(events, measurement, status, server.endings)


def _has_worker_variables(
    settings: dict[str, Any], names: Any, commands: Commands, events: EventPipe
) -> bool:
    """Set what the worker has of its own; false where Rust is gone."""
    variables = sys.modules["xtask_host.worker_variables"]
    if settings["engine"] == "spawn":
        events.send({"event": "variables"})
        return variables.wait(lambda: commands.await_one("variables"))
    variables.set_all(settings["worker_variables"])
    if settings["engine"] == "fork":
        names.listen_for(settings["worker_variables"])
    return True


def _gather(
    settings: dict[str, Any], loader: Any, commands: Any, events: Any, measurement: Any
) -> None:
    loader.load("garbage", "endings", "writers", "gather")
    endings = sys.modules["xtask_host.endings"].Endings(settings["work_dir"])
    sys.modules["xtask_host.gather"].gather(settings, commands, events, measurement)
    _say_goodbye(events, measurement, 0, endings)


def _say_goodbye(events: EventPipe, measurement: Any, status: int, endings: Any) -> None:
    if measurement is not None:
        events.send(measurement.save())
    events.send({"event": "bye", "exit": status})
    _leave(endings)


def _run_pytest(pytest: Any, args: list[str], plugins: list[Any], events: EventPipe) -> int:
    """pytest to its end; what a hook of the session's end raises must not cost the data."""
    try:
        return int(pytest.main(args, plugins=plugins))
    except BaseException as error:
        traceback.print_exc()
        events.send({"event": "error", "text": traceback.format_exc()})
        code = error.code if isinstance(error, SystemExit) else 1
        return code if isinstance(code, int) else 1


def _leave(endings: Any) -> None:
    """End as Python does, but leave the memory of a large suite to the kernel."""
    with contextlib.suppress(BaseException):
        endings.end()
    exit_now(0)


def _read_arguments(argv: list[str]) -> tuple[list[int], list[int], dict[str, Any]]:
    options = dict(zip(argv[::2], argv[1::2]))
    fds, outputs = (
        [int(fd) for fd in options.get(name, "").split(",") if fd]
        for name in ("--fds", "--outputs")
    )
    with open(options["--config"], encoding="utf-8") as file:
        settings = {**_DEFAULTS, **json.load(file)}
    settings["nodes"] = settings["nodes"] or settings["slots"]
    if settings["protocol"] != PROTOCOL:
        sys.exit(f"this host speaks protocol {PROTOCOL}, not {settings['protocol']}")
    return fds, outputs, settings


def _behave_like_python_m(folder: str) -> None:
    if sys.path and os.path.realpath(sys.path[0]) == os.path.realpath(folder):
        sys.path[0] = os.getcwd()
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        # A job in the background of a shell inherits that; tests expect otherwise.
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _start_coverage(settings: dict[str, Any], loader: Any) -> Any:
    if settings["coverage"] is None:
        return None
    measure = loader.load("compat_coverage", "coverage_log", "parts", "native", "measure")
    measurement = measure.Measurement(settings["coverage"], settings["work_dir"], loader.folder)
    measurement.start()
    return measurement


def _plugins(
    settings: dict[str, Any], events: EventPipe, server: Any, measurement: Any, pipes: list[int]
) -> list[Any]:
    session, roles = sys.modules["xtask_host.session"], sys.modules["xtask_host.roles"]
    host = session.HostSession(events, settings, server.serve)
    role = roles.Worker if settings["engine"] == "spawn" else roles.Parent
    host.role = role(settings, events, server, host)
    plugins = [host]
    if isinstance(host.role, roles.Parent):
        plugins.append(host.role.controller)
    if settings["last_failed"] is not None:
        last_failed = sys.modules["xtask_host.last_failed"].LastFailed(settings["last_failed"])
        host.last_failed = last_failed
        plugins.append(last_failed)
    channel = sys.modules["xtask_host.commands"].Channel
    server.channels += [channel(*pair) for pair in zip(pipes[::2], pipes[1::2])]
    if settings["collectors"]:
        shards = sys.modules["xtask_host.shards"]
        plugins.append(shards.Shards(server.channels, settings, host, server, measurement))
    if measurement is not None and settings["coverage"].get("context") == "test":
        plugins.append(session.Contexts(measurement.cov))
    return plugins


def _arguments(settings: dict[str, Any]) -> list[str]:
    args = list(settings["args"])
    if settings["basetemp"]:
        args.append(f"--basetemp={settings['basetemp']}")
    _pretend_to_be_main(args)
    return args


def _pretend_to_be_main(args: list[str]) -> None:
    """`multiprocessing` with spawn imports the main module again: let it find pytest's."""
    spec = importlib.util.find_spec("pytest.__main__")
    assert spec is not None and spec.origin is not None
    main = types.ModuleType("__main__")
    main.__spec__ = spec
    main.__package__ = "pytest"
    main.__file__ = spec.origin
    main.__builtins__ = sys.modules["builtins"]  # type: ignore[attr-defined]
    sys.modules["__main__"] = main
    sys.argv = [spec.origin, *args]


def _hello(pytest: Any, measurement: Any) -> dict[str, Any]:
    coverage = sys.modules.get("coverage")
    return {
        "event": "hello",
        "protocol": PROTOCOL,
        "pid": os.getpid(),
        "python": ".".join(map(str, sys.version_info[:3])),
        "pytest": pytest.__version__,
        "coverage": coverage.__version__ if coverage is not None else None,
        "core": measurement.core if measurement is not None else None,
        "refused": measurement.refused if measurement is not None else None,
        "stacks_signal": int(sys.modules["xtask_host.stacks"].SIGNAL),
    }
