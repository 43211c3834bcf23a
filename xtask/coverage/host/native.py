"""The native core: measures in coverage's stead, with `sys.monitoring`, on Python 3.12 and newer.

coverage stays in charge: it decides what is measured, keeps the data, knows contexts, and writes
reports. Only its tracer is another, with the attributes that the collector expects of one.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import sys
import sysconfig
from typing import Any

from coverage import Coverage

from xtask_host import compat_coverage

#: Ids of tools, best first: 3 is hypothesis', 0 to 2 and 5 are for debuggers, coverage, profilers
#: and optimizers.
_TOOLS = (4, 1, 5, 3)
_NAME = "xtask-coverage"
#: Concurrency that switches stacks within a thread.
_GREENLETS = {"greenlet", "eventlet", "gevent"}


class NativeTracer:
    """Stands where the collector has a tracer for each thread and each time that it starts."""

    # What the collector sets, and what it asks for with `hasattr`.
    data: dict[str, set[Any]]
    trace_arcs: bool
    should_trace: Any
    should_trace_cache: dict[str, Any]
    should_start_context: Any = None
    switch_context: Any = None
    lock_data: Any
    unlock_data: Any
    warn: Any

    def __init__(self, core: Any) -> None:
        self._core = core
        #: What the library knows it by, once it was started.
        self.number = -1

    def start(self) -> None:
        self._core.start(self)

    def stop(self) -> None:
        self._core.stop(self)

    def post_fork(self) -> None:
        """A process that a test forked has begun to measure for itself."""
        self._core.stop(self)

    def activity(self) -> bool:
        """Has anything been executed? Asked before each flush: the sets hold it from here on."""
        return self._core.hand_over(self.data)

    def reset_activity(self) -> None:
        pass

    def get_stats(self) -> None:
        return None

    def __call__(self, frame: Any, event: str, arg: Any) -> NativeTracer:
        """What `sys.gettrace()` returns can be called."""
        if event == "call":
            sys.settrace(self)  # type: ignore[arg-type]
        return self


class Core:
    """The library, and what it has replaced in this process."""

    def __init__(self, library: Any, collector: Any) -> None:
        self._library = library
        self._collector = collector
        self._monitoring: Any = sys.monitoring  # type: ignore[attr-defined]
        self._tool = -1
        self._activity = False
        # Until contexts change: a line is told once.
        self._once = True

    def start(self, tracer: NativeTracer) -> None:
        if self._tool < 0:
            self._prepare(tracer)
        if tracer.number < 0:
            tracer.number = self._library.add(tracer)
        self._library.start(tracer.number, bool(tracer.trace_arcs), self._once)
        self._library.new_threads(compat_coverage.thread_tracer(self._collector))

    def stop(self, tracer: NativeTracer) -> None:
        self._library.stop(tracer.number)

    def _prepare(self, tracer: NativeTracer) -> None:
        """Take a tool's id, and hear of each frame that begins."""
        monitoring, events = self._monitoring, self._monitoring.events
        self._tool = free_tool()
        monitoring.use_tool_id(self._tool, _NAME)
        self._library.configure(
            *(tracer.should_trace, tracer.should_trace_cache, self._tool),
            *(
                _local_events(events, tracer.trace_arcs),
                monitoring.set_local_events,
                monitoring.DISABLE,
            ),
            *(sys.settrace, sys.gettrace, monitoring.free_tool_id),
            *_differences(),
        )
        by_function = tracer.should_start_context is not None
        if by_function:
            self._library.contexts(tracer.should_start_context, tracer.switch_context)
        for event, callback in self._callbacks(events, by_function).items():
            monitoring.register_callback(self._tool, event, callback)
        sys.settrace, sys.gettrace = self._library.settrace, self._library.gettrace
        monitoring.free_tool_id = self._library.free_tool_id
        # A generator may have begun before measuring did.
        everywhere = events.PY_START | events.PY_RESUME | events.PY_THROW | events.PY_UNWIND
        if by_function:
            everywhere |= events.PY_RETURN | events.PY_YIELD
        monitoring.set_events(self._tool, everywhere)

    def _callbacks(self, events: Any, by_function: bool) -> dict[int, Any]:
        """Events to functions; other ones where each frame may begin a context."""
        names = ("start", "resume", "throw", "return", "yield", "unwind")
        suffix = "_in_context" if by_function else ""
        callbacks = {
            getattr(events, f"PY_{name.upper()}"): getattr(self._library, f"on_{name}{suffix}")
            for name in names
        }
        return {**callbacks, events.LINE: self._library.on_line, events.JUMP: self._library.on_jump}

    def hand_over(self, data: dict[str, set[Any]]) -> bool:
        self._activity = bool(self._library.hand_over(data)) or self._activity
        return self._activity

    def repeat(self) -> None:
        """What was executed in a context is to be told again in the next one."""
        if self._once:
            self._once = False
            self._library.repeat()
            self._monitoring.restart_events()

    def forget(self) -> None:
        """The collector has emptied its sets: what is executed again is to be in them again."""
        self._activity = False
        self._library.forget()


def _local_events(events: Any, branch: bool) -> int:
    frames = events.PY_START | events.PY_RESUME | events.PY_RETURN | events.PY_YIELD
    # A jump back within a line is an arc, but no other line.
    return frames | events.LINE | (events.JUMP if branch else 0)


def _differences() -> tuple[int, int, bool]:
    """What is another from one minor version to the next, for `configure` of the library."""
    import opcode

    return (
        opcode.opmap["RESUME"],
        0 if sys.version_info[:2] == (3, 13) else 2,
        (sys.version_info >= (3, 14)),
    )


def free_tool() -> int:
    """The id of a tool that nobody uses, or -1."""
    monitoring: Any = sys.monitoring  # type: ignore[attr-defined]
    return next((one for one in _TOOLS if monitoring.get_tool(one) is None), -1)


def why_not(cov: Any) -> str | None:
    """Why a `Coverage` that is configured cannot be measured by the native core, if it cannot."""
    config = cov.config
    greenlets = _GREENLETS.intersection(config.concurrency)
    if sys.implementation.name != "cpython" or sys.version_info < (3, 12):
        return "it is for CPython 3.12 and newer"
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        return "this Python is free-threaded"
    if config.timid:
        return "`timid` is set"
    if greenlets:
        return f"`concurrency` has {', '.join(sorted(greenlets))}"
    if compat_coverage.has_file_tracers(cov):
        return "a plugin of coverage traces files of its own"
    if free_tool() < 0:
        return "all tools of `sys.monitoring` are in use"
    return None


def why_rather_not(cov: Any) -> str | None:
    """Why a `Coverage` should be measured by another core, unless somebody insists."""
    chosen = getattr(cov.config, "core", None) or os.environ.get("COVERAGE_CORE")
    if chosen:
        return f"coverage is told to take the core {chosen}"
    if _is_sysmon_default(cov.config):
        return "coverage takes its core sysmon on this Python"
    return None


def _is_sysmon_default(config: Any) -> bool:
    """Since Python 3.14: its arcs are others than the C tracer's, though reports are the same."""
    by_default = getattr(sys.modules["coverage.env"], "SYSMON_DEFAULT", False)
    contexts = config.dynamic_context or "none"
    return bool(by_default) and contexts == "none"


def load(path: str) -> Any:
    """The library. Raises `ImportError` where it cannot be loaded."""
    loader = importlib.machinery.ExtensionFileLoader("xtask_core", path)
    spec = importlib.util.spec_from_file_location("xtask_core", path, loader=loader)
    if spec is None:
        raise ImportError(f"cannot load {path}")
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def attach(cov: Coverage, library: str, insist: bool = False) -> None:
    """Have a `Coverage` that was not started yet measure with the library.

    `cov.start()` then sets `cov.xtask_core` to why coverage's own core measures instead, or to
    `None`. With `insist` that coverage is to have another core is no reason.
    """

    def put_in() -> None:
        cov.xtask_core = _put_in(cov, library, insist)  # type: ignore[attr-defined]

    compat_coverage.before_start(cov, put_in)


def _put_in(cov: Any, path: str, insist: bool) -> str | None:
    reason = why_not(cov) or (None if insist else why_rather_not(cov))
    collector = compat_coverage.collector_of(cov)
    holder, name = compat_coverage.tracer_place(cov)
    chosen = getattr(holder, name).__name__
    if reason is None and chosen != "CTracer" and not insist:
        reason = f"coverage takes {chosen}"
    if reason is not None:
        return reason
    try:
        library = load(os.path.abspath(path))
    except ImportError as error:
        return f"it cannot be loaded: {error}"
    core = Core(library, collector)
    setattr(holder, name, _tracer_class(core))
    # Threads are measured as with a trace function; arcs are pairs, whatever was to measure.
    holder.packed_arcs, holder.systrace = False, True
    _forget_what_is_flushed(collector, core)
    return None


def _tracer_class(core: Core) -> type:
    """What the collector makes tracers with."""

    class Tracer(NativeTracer):
        def __init__(self, **_: Any) -> None:
            super().__init__(core)

    Tracer.__name__ = Tracer.__qualname__ = "NativeTracer"
    return Tracer


def _forget_what_is_flushed(collector: Any, core: Core) -> None:
    flush = collector.flush_data

    def flush_data() -> bool:
        flushed = flush()
        core.forget()
        return bool(flushed)

    switch = collector.switch_context

    def switch_context(context: str | None) -> Any:
        core.repeat()
        return switch(context)

    collector.flush_data = flush_data
    collector.switch_context = switch_context
