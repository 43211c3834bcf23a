"""What we use of coverage that its documentation does not promise.

All private names of coverage that hosts use stand here, so that a new version of it is read
against one file; `check` sees at the start of each run that what it measures comes through.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

import coverage
from coverage import Coverage
from coverage.disposition import disposition_init

# How a process of a test's own learns what to measure. `fork` of ours must not
# trigger it; the ones that tests do must.
_PROCESS_VARIABLES = ("COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START")


def initialize(cov: Any) -> None:
    """Have it read its configuration and start its plugins, which `start` does else."""
    cov._init()


def before_start(cov: Any, action: Callable[[], None]) -> None:
    """Call when a `Coverage` has made its collector, and nothing is measured yet."""
    prepare = cov._init_for_start

    def prepare_and_act() -> None:
        prepare()
        action()

    cov._init_for_start = prepare_and_act


def collector_of(cov: Any) -> Any:
    return cov._collector


def data_of(cov: Any) -> Any:
    return cov._data


def set_data(cov: Any, data: Any) -> None:
    """Have it save, and close at the end, these data instead of its own."""
    cov._data = data
    if hasattr(cov, "_data_to_close"):  # since coverage 7.7
        cov._data_to_close = [data]
    collector_of(cov).use_data(data, cov.config.context)


def source_of(cov: Any) -> Any:
    """What knows which files are measured."""
    return cov._inorout


def callbacks_of(cov: Any) -> dict[str, Any]:
    """Where its data say what is wrong, as arguments of `CoverageData`."""
    return {"warn": cov._warn, "debug": cov._debug}


def disabled_plugins(cov: Any) -> list[Any]:
    return [plugin for plugin in cov._plugins if not plugin._coverage_enabled]


def has_file_tracers(cov: Any) -> bool:
    return bool(cov._plugins.file_tracers)


def expect_no_data(cov: Any) -> None:
    """Have it not warn where it has seen nothing: others have."""
    cov._warn_no_data = False


def add_unexecuted_files(cov: Any) -> None:
    cov._post_save_work()


@contextlib.contextmanager
def unnoticed_fork() -> Iterator[None]:
    """Fork without the handler of `patch = fork`, which would start coverage anew.

    The handler cannot be unregistered. It looks for a started `Coverage` and for
    the variables; finding neither it does nothing.
    """
    started = getattr(Coverage, "_instances", [])
    kept, started[:] = started[:], []
    variables = {name: os.environ.pop(name) for name in _PROCESS_VARIABLES if name in os.environ}
    try:
        yield
    finally:
        started[:] = kept
        os.environ.update(variables)


def tracer_place(cov: Any) -> tuple[Any, str]:
    """Where the class of its tracers stands: an object, and the name of its attribute."""
    if hasattr(cov, "_core") and hasattr(cov._core, "tracer_class"):
        return cov._core, "tracer_class"
    return cov._collector, "_trace_class"  # coverage 7.6


def thread_tracer(collector: Any) -> Any:
    """The trace function by which a new thread begins to be measured."""
    return collector._installation_trace


def check(cov: Any, data: Any, file: str, lines: Callable[[], set[int]]) -> None:
    """Raise `RuntimeError` unless a line that runs comes out as a line that was measured.

    `cov` has started. What it sees meanwhile goes into `data`, and nowhere else; `lines` reads that
    of `file`, which need not exist, from where `data` put it.
    """
    collector, own = collector_of(cov), data_of(cov)
    collector.flush_data()
    set_data(cov, data)
    collector.should_trace_cache[file] = _measured(cov, file)
    try:
        exec(compile("\nmeasured = True\n", file, "exec"), {})
        collector.flush_data()
    finally:
        del collector.should_trace_cache[file]
        set_data(cov, own)
    if 2 not in lines():
        raise RuntimeError(
            f"a line that ran is not in the data, with Python {sys.version.split()[0]}, coverage"
            f" {coverage.__version__} and its {type(collector.tracers[0]).__name__}; is coverage"
            " changed by something (`sitecustomize`, a `.pth` file), or too new? try another"
            " version of coverage, or `--engine stock`"
        )


def _measured(cov: Any, file: str) -> Any:
    """What coverage says of a file that it measures, in the form that its core reads."""
    disposition = disposition_init(source_of(cov).disp_class, file)
    disposition.trace, disposition.source_filename = True, file
    return disposition
