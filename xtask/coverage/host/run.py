"""The run: the order in which the host does things, from its arguments to `bye`."""

from __future__ import annotations

import json
import os
import signal
import sys
import types
from typing import Any, Callable

from xtask_host.outlet import Outlet, exit_now

PROTOCOL = 1
_DEFAULTS: dict[str, Any] = {
    "engine": "fork",
    "args": [],
    "coverage": None,
    "slots": 1,
    "freeze": True,
    "identity": "xdist",
    "basetemp": None,
    "cache_dir": None,
    "output_limit": 65536,
    "allow_native_threads": False,
}


def run(
    argv: list[str], load: Callable[[str], types.ModuleType], here: str
) -> None:
    """Everything; ends the process."""
    fds, settings = _read_arguments(argv)
    commands = load("commands").Commands(fds[0])
    events, *slots = map(Outlet, fds[1:])
    _behave_like_python_m_pytest(here)
    measurement = _start_coverage(settings, load, here)
    # From here on coverage looks: pytest, its plugins and all that they import.
    import pytest

    for name in ("reports", "session", "unit", "stacks"):
        load(name)
    server = load("serve").Server(settings, commands, events, slots, measurement)
    events.send(_hello(pytest, measurement))
    status = _run_pytest(pytest, settings, events, server, measurement)
    if measurement is not None:
        _save(measurement, server, events)
    events.send({"event": "bye", "exit": int(status)})
    sys.stdout.flush()
    sys.stderr.flush()


def _read_arguments(argv: list[str]) -> tuple[list[int], dict[str, Any]]:
    options = dict(zip(argv[::2], argv[1::2]))
    fds = [int(fd) for fd in options["--fds"].split(",")]
    with open(options["--config"], encoding="utf-8") as file:
        settings = {**_DEFAULTS, **json.load(file)}
    if settings["protocol"] != PROTOCOL:
        sys.exit(f"this host speaks protocol {PROTOCOL}, not {settings['protocol']}")
    return fds, settings


def _behave_like_python_m_pytest(here: str) -> None:
    """`sys.path`, `sys.argv` and `__main__` as `coverage run -m pytest` leaves them."""
    if sys.path and os.path.realpath(sys.path[0]) == os.path.realpath(here):
        sys.path[0] = os.getcwd()
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        # A job in the background of a shell inherits that; tests expect otherwise.
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _start_coverage(
    settings: dict[str, Any], load: Callable[[str], types.ModuleType], here: str
) -> Any:
    for name in ("harvest", "parts", "measure"):
        load(name)
    if settings["coverage"] is None:
        return None
    measure = sys.modules["xtask_host.measure"]
    measurement = measure.Measurement(settings["coverage"], settings["work_dir"], here)
    measurement.start()
    return measurement


def _run_pytest(
    pytest: Any, settings: dict[str, Any], events: Outlet, server: Any, measurement: Any
) -> int:
    session = sys.modules["xtask_host.session"]
    plugins = [session.HostSession(events, settings, server.serve)]
    if measurement is not None and settings["coverage"].get("context") == "test":
        plugins.append(session.Contexts(measurement.cov))
    args = list(settings["args"])
    if settings["basetemp"]:
        args.append(f"--basetemp={settings['basetemp']}")
    if settings["cache_dir"]:
        args += ["-o", f"cache_dir={settings['cache_dir']}"]
    _pretend_to_be_main(args)
    return pytest.main(args, plugins=plugins)


def _pretend_to_be_main(args: list[str]) -> None:
    """`multiprocessing` with spawn imports the main module again: let it find pytest's."""
    import importlib.util

    spec = importlib.util.find_spec("pytest.__main__")
    main = types.ModuleType("__main__")
    main.__spec__ = spec
    main.__package__ = "pytest"
    main.__file__ = spec.origin
    main.__builtins__ = sys.modules["builtins"]
    sys.modules["__main__"] = main
    sys.argv = [spec.origin, *args]


def _hello(pytest: Any, measurement: Any) -> dict[str, Any]:
    import coverage

    return {
        "event": "hello",
        "protocol": PROTOCOL,
        "pid": os.getpid(),
        "python": ".".join(map(str, sys.version_info[:3])),
        "pytest": pytest.__version__,
        "coverage": coverage.__version__,
        "core": measurement.core if measurement is not None else None,
        "threads": sys.modules["xtask_host.serve"].threads_alive(),
        "stacks_signal": int(sys.modules["xtask_host.stacks"].SIGNAL),
    }


def _save(measurement: Any, server: Any, events: Outlet) -> None:
    """One file for each split, one for the host."""
    imported: dict[str, str] = {}
    unmatched: set[str] | None = None
    for split in sorted(server.folders, key=str):
        part = _write_split(measurement, split, server.folders[split], events)
        imported.update(part.imported)
        if part.unmatched is not None:
            unmatched = (
                part.unmatched if unmatched is None else unmatched & part.unmatched
            )
    path = measurement.save(imported, unmatched)
    events.send({"event": "data", "split": None, "file": path})


def _write_split(
    measurement: Any, split: Any, folders: list[tuple[int, str]], events: Outlet
) -> Any:
    parts = sys.modules["xtask_host.parts"]
    name = "units.coverage" if split is None else f"split-{split:03}.coverage"
    target = os.path.join(measurement.data_dir, name)
    part = parts.Part(target, measurement.branch, measurement.static_context)
    for _, folder in folders:
        part.add_unit(folder)
    part.finish()
    units = [unit for unit, _ in folders]
    event = {"event": "data", "split": split, "file": target, "units": units}
    events.send({**event, "damaged": part.damaged})
    return part
