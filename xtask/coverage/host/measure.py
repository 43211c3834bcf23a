"""Measuring: coverage as `coverage run -m pytest` would do it, made to survive forks."""

from __future__ import annotations

import contextlib
import glob
import os
import sys
import types
from collections.abc import Iterator
from typing import Any

from coverage import Coverage

from xtask_host import compat_coverage, native, parts
from xtask_host.coverage_log import CoverageLog, Recorder, lines_in, state_of_log
from xtask_host.event_pipe import EventPipe, getpid

_CORES = {
    "NativeTracer": "native",
    "CTracer": "ctrace",
    "PyTracer": "pytrace",
    "SysMonitor": "sysmon",
}


class Measurement:
    """The `Coverage` object of the host, and of each unit forked from it."""

    def __init__(self, settings: dict[str, Any], work_dir: str, ours: str) -> None:
        os.environ["COVERAGE_RUN"] = "true"
        self.data_dir = settings["data_dir"]
        self._folder = os.path.join(work_dir, "host")
        self._collectors = os.path.join(work_dir, "collectors")
        os.makedirs(self._folder, exist_ok=True)
        os.makedirs(self.data_dir, exist_ok=True)
        options = {
            "source": settings.get("source"),
            "branch": settings.get("branch"),
            **settings.get("options", {}),
        }
        self.cov = Coverage(
            data_file=os.path.join(self._folder, ".coverage"),
            # A suffix with the pid in it: processes forked by tests erase a file
            # whose name is fixed.
            data_suffix=True,
            config_file=settings.get("config_file", True),
            check_preimported=True,
            **options,
        )
        if settings.get("core"):
            native.attach(self.cov, settings["core"], settings.get("insist", False))
        self._branch = settings.get("branch")
        self._imported: dict[str, str] = {}  # source packages that units have met
        self._ours = os.path.join(os.path.realpath(ours), "")

    def start(self) -> None:
        self._point_subprocesses_at(self._folder)
        self._outdo_plugins()
        self.cov.start()
        # `patch = subprocess` has just put the configuration into the environment.
        self._data = compat_coverage.data_of(self.cov)
        self._lock_without_python()
        self._check()

    def _outdo_plugins(self) -> None:
        """What was asked for counts, whatever a plugin of coverage's configures when it starts."""
        if self._branch is not None and self.cov.config.plugins:
            compat_coverage.initialize(self.cov)
            self.cov.set_option("run:branch", self._branch)

    def _check(self) -> None:
        """See that what is measured comes through to a log, before anybody counts on it."""
        folder = os.path.join(self._folder, "check")
        os.makedirs(folder, exist_ok=True)
        log, file = os.path.join(folder, parts.LOG), os.path.join(folder, "xtask-measured.py")
        data = new_log(self.cov, folder)

        def lines() -> set[int]:
            data.end()
            return lines_in(log, os.path.basename(file))

        compat_coverage.check(self.cov, data, file, lines)
        os.remove(log)

    def _lock_without_python(self) -> None:
        """Have tracers take and give back the lock itself.

        They do that at each call of a measured function, by methods of the collector's: two
        calls of Python functions, a few percent of a suite's time.
        """
        collector = self.collector
        lock = getattr(collector, "data_lock", None)
        if lock is None or not hasattr(collector, "unlock_data"):
            return
        for one in (collector, *collector.tracers):
            one.lock_data, one.unlock_data = lock.acquire, lock.release

    @property
    def collector(self) -> Any:
        return compat_coverage.collector_of(self.cov)

    @property
    def core(self) -> str:
        """`native`, or coverage's name of the core that measures."""
        name = self.collector.tracer_name()
        return _CORES.get(name, name)

    @property
    def refused(self) -> str | None:
        """Why the native core, which was to measure, does not."""
        return getattr(self.cov, "xtask_core", None)

    @property
    def branch(self) -> bool:
        return bool(self.cov.config.branch)

    def before_fork(self) -> None:
        """Leave nothing in memory that the unit would hand over a second time."""
        self.collector.flush_data()
        if isinstance(self._data, CoverageLog):
            self._data.write()

    def unnoticed_fork(self) -> contextlib.AbstractContextManager[None]:
        return compat_coverage.unnoticed_fork()

    def record_unit(self, folder: str) -> UnitRecorder:
        """Begin a unit: from here on what is executed goes into the folder."""
        return UnitRecorder(self, folder)

    def become_collector(self, number: int) -> None:
        """From here on this process is a collector: a log of its own is its data."""
        self._folder = os.path.join(self._collectors, str(number))
        os.makedirs(self._folder)
        self._data = new_log(self.cov, self._folder)
        self.use_data(self._data, self._folder)

    def keep_collected(self) -> None:
        """Put what importing has executed out of reach of a crash."""
        self.notice_disabled_plugins()
        self.collector.flush_data()
        self._data.tell_packages(*self.packages_met())
        self._data.write()

    def end_collector(self) -> None:
        self.keep_collected()
        self._data.end()

    def notice_disabled_plugins(self) -> None:
        for plugin in compat_coverage.disabled_plugins(self.cov):
            self.collector.plugin_was_disabled(plugin)

    def resume_host(self) -> None:
        self.use_data(self._data, self._folder)

    def use_data(self, data: Any, folder: str) -> None:
        compat_coverage.set_data(self.cov, data)
        # A collector that seems to come from before a fork is dropped by the first
        # `Coverage` that a test starts, instead of being paused and resumed.
        self.collector.pid = getpid()
        self._point_subprocesses_at(folder)

    def _point_subprocesses_at(self, folder: str) -> None:
        """Have whatever tests start save its data in the folder of their unit."""
        cov = self.cov
        cov.config.data_file = os.path.join(folder, ".coverage")
        if "COVERAGE_PROCESS_CONFIG" in os.environ and hasattr(cov.config, "serialize"):
            os.environ["COVERAGE_PROCESS_CONFIG"] = cov.config.serialize()
        # Only where it is needed: a project whose tests run `coverage` themselves
        # would find its data file moved.
        if "multiprocessing" in cov.config.concurrency or "COVERAGE_PROCESS_START" in os.environ:
            os.environ["COVERAGE_FILE"] = cov.config.data_file

    def packages_met(self) -> tuple[dict[str, str], list[str]]:
        """Which source packages have been imported here, and which were never measured."""
        source = compat_coverage.source_of(self.cov)
        imported = {}
        for package in source.source_pkgs:
            file = getattr(sys.modules.get(package), "__file__", None)
            if file:
                imported[package] = file
        return imported, list(source.source_pkgs_unmatched)

    def state_of_unit(self, folder: str) -> str:
        return state_of_log(os.path.join(folder, parts.LOG))

    def size_of(self, folders: list[tuple[int, str]]) -> int:
        """About how much there is to write: bytes of logs, and something for the file itself."""
        size = 1
        for _, folder in folders:
            with contextlib.suppress(OSError):
                size += os.path.getsize(os.path.join(folder, parts.LOG))
        return size

    def file_of_split(self, split: int | None) -> str:
        name = "units" if split is None else f"split-{split:03}"
        return os.path.join(self.data_dir, f"{name}.coverage")

    def write_split(self, split: int | None, folders: list[tuple[int, str]]) -> dict[str, Any]:
        return self._write_part(self.file_of_split(split), folders)

    def _write_part(self, target: str, folders: list[tuple[int, str]]) -> dict[str, Any]:
        part = parts.Part(target, self.branch, self.cov.config.context)
        units = [part.add_unit(unit, folder) for unit, folder in folders]
        part.finish()
        unmatched = sorted(part.unmatched or ())
        told = {"units": units, "damaged": part.damaged, "imported": part.imported}
        return {**told, "unmatched": unmatched, "any": part.unmatched is not None}

    def learn(self, told: dict[str, Any]) -> None:
        """Remember what a split has met, so that the host warns only of what none has."""
        if told["any"]:
            compat_coverage.expect_no_data(self.cov)
            self._imported.update(told["imported"])
            packages = compat_coverage.source_of(self.cov).source_pkgs_unmatched
            packages[:] = [one for one in packages if one in told["unmatched"]]

    def save(self) -> dict[str, Any]:
        """Write the host's part: what configuring and collecting executed, and unexecuted files."""
        self.cov.stop()
        damaged = self._take_collected()
        self._hide_our_files(compat_coverage.source_of(self.cov))
        with _as_if_imported(self._imported):
            # `save` looks for unexecuted files only if something was executed since
            # the last flush, and the last fork flushed.
            self.collector.flush_data()
            data = compat_coverage.data_of(self.cov)
            (data.add_arcs if self.branch else data.add_lines)({})
            compat_coverage.add_unexecuted_files(self.cov)
            self.cov.save()
        file = self._publish(data, damaged)
        told = [(None, text) for text in damaged]
        return {"event": "data", "split": None, "file": file, "damaged": told}

    def _take_collected(self) -> list[str]:
        """Put what collectors have measured beside what subprocesses of the host have saved."""
        folders = sorted(glob.glob(os.path.join(glob.escape(self._collectors), "*")))
        if not folders:
            return []
        target = os.path.join(self._folder, ".coverage.collectors")
        told = self._write_part(target, list(enumerate(folders)))
        self.learn(told)
        cut = [folders[at] for at, state, _ in told["units"] if state != "whole"]
        damaged = [f"the log of the collector in `{folder}` was cut short" for folder in cut]
        return damaged + [text for _, text in told["damaged"]]

    def _hide_our_files(self, source: Any) -> None:
        """Keep the host's own folder out, should it lie inside the measured source."""
        find = source.find_possibly_unexecuted_files
        source.find_possibly_unexecuted_files = lambda: (
            found for found in find() if not os.path.realpath(found[0]).startswith(self._ours)
        )

    def _publish(self, data: Any, damaged: list[str]) -> str:
        parts.close(data)
        own = data.data_filename()
        others = [path for path in parts.saved_files(self._folder) if path != own]
        merged = [parts.merge_sound_file(data, path) for path in others]
        damaged += [wrong for wrong in merged if wrong is not None]
        parts.close(data)
        target = os.path.join(self.data_dir, "host.coverage")
        os.replace(own, target)
        return target


class UnitRecorder:
    """Measures one unit after the other, each into its own folder.

    What an earlier unit of this process has executed is in that one's log, and not again in
    those of the following: together they hold all.
    """

    def __init__(self, measurement: Measurement, folder: str) -> None:
        self._measurement = measurement
        self._recorder = Recorder(measurement.collector)
        self.begin(folder)

    def begin(self, folder: str) -> None:
        """From here on what is executed goes into this folder."""
        self._coverage_log = new_log(self._measurement.cov, folder)
        self._measurement.use_data(self._coverage_log, folder)
        self._recorder.into(self._coverage_log)
        self._watch = parts.Watch(folder)

    def note(self) -> None:
        """Put what a test has executed out of reach of a crash."""
        self._collect(self._watch.new())
        self._coverage_log.tell_test()
        self._coverage_log.write()

    def _collect(self, saved: list[str]) -> None:
        self._measurement.notice_disabled_plugins()
        self._recorder.collect()
        if saved:
            self._coverage_log.tell_saved(saved)

    def end(self) -> None:
        self._collect(self._watch.all_new())
        self._coverage_log.tell_packages(*self._measurement.packages_met())
        self._coverage_log.end()

    def release(self) -> None:
        """Where units run in the host itself: give the collector back to the host."""
        self._measurement.collector.flush_data()
        self._measurement.resume_host()


def new_log(cov: Any, folder: str) -> CoverageLog:
    log = EventPipe.to_file(os.path.join(folder, parts.LOG))
    basename = os.path.join(folder, ".coverage")
    return CoverageLog(basename, log, **compat_coverage.callbacks_of(cov))


@contextlib.contextmanager
def _as_if_imported(packages: dict[str, str]) -> Iterator[None]:
    """Let coverage find the files of source packages that only tests have imported."""
    stubs = {}
    for name, file in packages.items():
        if name not in sys.modules:
            stubs[name] = types.ModuleType(name)
            stubs[name].__file__ = file
    sys.modules.update(stubs)
    try:
        yield
    finally:
        for name in stubs:
            sys.modules.pop(name, None)
