"""Whole: why a suite has to be collected in one piece, where it has to.

A part of the files gives the same tests in the same order as long as nothing
orders, selects or counts across files. Whatever cannot be told beforehand is
watched (`Watch`), and the suite then collected anew as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from xtask_host.plugins import is_local, name_of, package_of

# The versions of pytest with which the tests of this host were run.
_OLDEST, _NEWEST = (8, 0), (9, 2)

_OPTIONS = {
    "lf": "--last-failed",
    "failedfirst": "--failed-first",
    "newfirst": "--new-first",
    "stepwise": "--stepwise",
}
_OURS = {"_pytest", "pytest", "xtask_host"}
# Their hooks look at one test after the other.
_HARMLESS = {
    *("_hypothesis_pytestplugin", "anyio", "hypothesis", "pytest_asyncio", "pytest_benchmark"),
    *("pytest_cov", "pytest_mock", "pytest_rerunfailures", "pytest_timeout", "xdist"),
}
_COLLECTING = {"pytest_collection", "pytest_collection_modifyitems"}
# What collectors see and the host, where the session ends, does not.
_SEEING = {
    *("pytest_collection_modifyitems", "pytest_collection_finish", "pytest_collectreport"),
    *("pytest_deselected", "pytest_itemcollected"),
}
_ENDING = {"pytest_sessionfinish", "pytest_terminal_summary", "pytest_unconfigure"}
_WIDE_SCOPES = ("session", "package")


def why_at_once(config: pytest.Config) -> str | None:
    """A reason that is known before anything is collected."""
    version = tuple(map(int, pytest.__version__.split(".")[:2]))
    if not _OLDEST <= version <= _NEWEST:
        return f"not tried with pytest {pytest.__version__}"
    for name, option in _OPTIONS.items():
        if getattr(config.option, name, False):
            return f"`{option}` looks at all tests"
    return None


def why_of_plugins(config: pytest.Config) -> str | None:
    """A reason that lies in a plugin or conftest; all of them have been loaded."""
    manager = config.pluginmanager
    for name, plugin in manager.list_name_plugin():
        if plugin is None or not _foreign(plugin, config):
            continue
        hooks = {caller.name for caller in manager.get_hookcallers(plugin) or ()}
        name = name_of(plugin, name, config)
        if hooks & (_COLLECTING if not is_local(plugin, config) else {"pytest_collection"}):
            return f"plugin `{name}` may order or select tests"
        if hooks & _SEEING and hooks & _ENDING:
            both = f"`{min(hooks & _SEEING)}` and `{min(hooks & _ENDING)}`"
            return f"{both} in `{name}` may share what they learn"
    for hook in config.hook.pytest_collection_modifyitems.get_hookimpls():
        if (hook.hookwrapper or hook.wrapper) and _foreign(hook.plugin, config):
            return f"`{name_of(hook.plugin, hook.plugin_name, config)}` wraps the ordering of tests"
    return None


def _foreign(plugin: Any, config: pytest.Config) -> bool:
    package = package_of(plugin)
    if package == "pytest_randomly":
        return bool(config.getoption("randomly_reorganize", True))
    return package not in _OURS and package not in _HARMLESS


class Watch:
    """Watches the hooks of a collector's session for what reaches across files."""

    def __init__(self, session: pytest.Session) -> None:
        self._session = session
        self._reason: str | None = None
        for hook in session.config.hook.pytest_collection_modifyitems.get_hookimpls():
            if not (hook.hookwrapper or hook.wrapper) and _foreign(hook.plugin, session.config):
                self._watch(hook)

    def _watch(self, hook: Any) -> None:
        session, function = self._session, hook.function
        name = name_of(hook.plugin, hook.plugin_name, session.config)

        def watched(*args: Any) -> Any:
            before = list(session.items)
            result = function(*args)
            if set(before).difference(session.items):
                self._reason = f"`{name}` takes tests out"
            elif before != session.items:
                # Even if all moves are inside of files: the files might move, too.
                self._reason = f"`{name}` moves or adds tests"
            return result

        hook.function = watched

    def reason(self, place_of: dict[Any, tuple[int, int]]) -> str | None:
        """Why the whole would be something else than the parts; None if it would not.

        Each test has a place: its file, and one in it where that is parted, too.
        """
        items = self._session.items
        reason = self._reason or _wide_parameters(items)
        if reason:
            return reason
        places = [place_of.get(item) for item in items]
        if None in places:
            return "a hook adds tests"
        if places != sorted(places):  # type: ignore[type-var]
            return "a hook moves tests from file to file"
        return None


def parameter_scopes(item: Any) -> Mapping[str, Any] | None:
    """pytest's scope of each parameter of a test; None where this pytest does not tell."""
    return getattr(item.callspec, "_arg2scope", None) if hasattr(item, "callspec") else {}


def _wide_parameters(items: Iterable[Any]) -> str | None:
    """pytest brings tests together that share a parameter of wide scope, whatever their file."""
    for item in items:
        scopes = parameter_scopes(item)
        if scopes is None:
            return "this pytest does not tell the scopes of parameters"
        for argument, scope in scopes.items():
            if scope.value in _WIDE_SCOPES:
                return f"the parameters of `{argument}` have {scope.value} scope"
    return None
