"""Listeners: which plugins hear of tests, and whether they know of workers."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any, Callable

import pytest

from xtask_host import replays
from xtask_host.plugins import file_of, is_local, name_of, package_of

_LOGGING = ("pytest_runtest_logstart", "pytest_runtest_logreport", "pytest_runtest_logfinish")
_ENDING = ("pytest_sessionfinish", "pytest_unconfigure")
# Where a plugin that knows of workers does one thing in the controller and another in workers.
_TWO_SIDED = (
    *_LOGGING,
    *("pytest_warning_recorded", "pytest_sessionstart", "pytest_sessionfinish"),
    *("pytest_terminal_summary", "pytest_testnodeready", "pytest_testnodedown"),
)
# Options of pytest that keep in its cache how tests have ended, for the next run.
_KEEPING = ("lf", "failedfirst", "stepwise")
# What code mentions that looks at the counts of the terminal's reporter.
_STATS = (b"terminalreporter", b"stats")
# What code mentions that tells workers of pytest-xdist from its controller.
_WORKERS = (b"workerinput", b"workeroutput", b"PYTEST_XDIST", b"is_xdist_", b"get_xdist_")

_OURS = {"_pytest", "pytest", "pluggy", "xdist", "pytest_cov", "pytest_split"} | {
    *("xtask_host", "xtask_events")
}


def _never(option: Any) -> bool:
    return False


def _asked(name: str) -> Callable[[Any], bool]:
    return lambda option: bool(getattr(option, name, False))


# Plugins whose hooks were read: what they hear there changes nothing, except with an option.
_QUIET: dict[str, Callable[[Any], bool]] = {
    # Statistics are in each report; without them only failures matter.
    "_hypothesis_pytestplugin": _asked("hypothesis_show_statistics"),
    "hypothesis": _never,
    # It counts how often each test has run where that was.
    "pytest_rerunfailures": _asked("fail_on_flaky"),
    # Progress and failures as they happen, which are shown by us.
    **dict.fromkeys(("pytest_sugar", "pytest_instafail", "pytest_pretty"), _never),
    "pytest_github_actions_annotate_failures": _never,
    # Switched off, or about one process only.
    **dict.fromkeys(("pytest_benchmark", "pytest_django", "pytest_metadata"), _never),
    **dict.fromkeys(("pytest_randomly", "pytest_socket", "pytest_timeout"), _never),
    **dict.fromkeys(("anyio", "pytest_asyncio", "pytest_mock", "pytest_forked"), _never),
}


class Listeners:
    """What those plugins want that were registered when this was made."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._manager = config.pluginmanager

    def _impls(self, *hooks: str) -> Iterator[Any]:
        """Implementations by plugins that hear something."""
        for name in hooks:
            caller = getattr(self._config.hook, name, None)
            for impl in caller.get_hookimpls() if caller is not None else ():
                if self._hears(impl.plugin):
                    yield impl

    def _hears(self, plugin: Any) -> bool:
        package = package_of(plugin)
        if package in _OURS:
            return False
        quiet = _QUIET.get(package)
        return quiet is None or quiet(self._config.option)

    def level(self) -> int:
        """How much is to be replayed in the controller."""
        if any(self._impls(*_LOGGING, "pytest_terminal_summary")) or self._count_passed():
            return replays.ALL
        if any(_mentions(impl.plugin, _STATS) for impl in self._impls(*_ENDING)):
            return replays.ALL
        some = any(self._impls("pytest_warning_recorded")) or self._count_others()
        return replays.NOT_PASSED if some else replays.NOTHING

    def _count_passed(self) -> bool:
        option = self._config.option
        if getattr(option, "durations", None) is not None:
            return True
        shown = getattr(self._reporter(), "reportchars", "")
        keeps = any(getattr(option, name, False) for name in _KEEPING)
        return keeps or bool(set(shown) & set("pP"))

    def _count_others(self) -> bool:
        # pytest shows failures and errors unasked, and warnings: those we show.
        shown = set(getattr(self._reporter(), "reportchars", "")) - set("fEw")
        saves_examples = self._manager.has_plugin("hypothesispytest")
        return bool(shown) or saves_examples or self._limits_warnings()

    def _reporter(self) -> Any:
        return self._manager.getplugin("terminalreporter")

    def _limits_warnings(self) -> bool:
        if getattr(self._config.option, "max_warnings", None) is not None:
            return True
        try:
            return self._config.getini("max_warnings") is not None
        except (KeyError, ValueError):  # older than pytest 9
            return False

    def names(self) -> list[str]:
        """The plugins that hear of tests, and their hooks."""
        found = {}
        for impl in self._impls(*_LOGGING):
            name = name_of(impl.plugin, impl.plugin_name, self._config)
            found.setdefault(name, impl.function.__name__)
        return [f"`{name}` ({hook})" for name, hook in found.items()]

    def two_sided(self) -> str | None:
        """A plugin that does one thing in the controller and another in workers, as
        `` `plugin` (its hook)``."""
        for impl in self._impls(*_TWO_SIDED):
            if _mentions(impl.plugin, _WORKERS):
                name = name_of(impl.plugin, impl.plugin_name, self._config)
                return f"`{name}` ({impl.function.__name__})"
        return None

    def may_be_two_sided(self) -> bool:
        """Whether there may be one when all have been configured."""
        plugins = [plugin for plugin in self._manager.get_plugins() if self._hears(plugin)]
        return any(_mentions(plugin, _WORKERS) for plugin in plugins)

    def loop(self) -> str | None:
        """A plugin that has a loop of its own for the tests, in the same words."""
        for impl in self._impls("pytest_runtestloop"):
            if not (impl.hookwrapper or impl.wrapper):
                name = name_of(impl.plugin, impl.plugin_name, self._config)
                return f"`pytest_runtestloop` in `{name}`"
        return None

    def heard_once(self) -> list[Any]:
        """Implementations that must not hear in workers what they hear in the controller.

        The project's own ones that know nothing of workers: in a sequential run each hears each
        report once, and may write a line or send it away. Plugins that others use under
        pytest-xdist hear all on both sides, as there.
        """
        impls = self._impls(*_LOGGING, "pytest_warning_recorded")
        return [impl for impl in impls if self._is_heard_once(impl)]

    def _is_heard_once(self, impl: Any) -> bool:
        plain = not (impl.hookwrapper or impl.wrapper)
        own = is_local(impl.plugin, self._config)
        return plain and own and not _mentions(impl.plugin, _WORKERS)


_mentioned: dict[tuple[str, tuple[bytes, ...]], bool] = {}


def _mentions(plugin: Any, words: tuple[bytes, ...]) -> bool:
    """Whether the source of a plugin has one of these words: of a package all that is imported."""
    own = file_of(plugin)
    key = own, words
    if own and key not in _mentioned:
        files = {own}
        # A conftest in a package of tests speaks for itself alone.
        if os.path.basename(own) != "conftest.py":
            files.update(_files_of(package_of(plugin)))
        _mentioned[key] = any(_has(file, words) for file in files)
    return _mentioned.get(key, False)


def _files_of(package: str) -> Iterator[str]:
    for name, module in list(sys.modules.items()):
        if name == package or name.startswith(f"{package}."):
            file = getattr(module, "__file__", None)
            if file:
                yield file


def _has(file: str, words: tuple[bytes, ...]) -> bool:
    try:
        with open(file, "rb") as source:
            text = source.read()
    except OSError:
        return False
    return any(word in text for word in words)
