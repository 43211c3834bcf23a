"""Whole: why a suite has to be collected in one piece, where it has to.

A part of the files gives the same tests in the same order as long as nothing
orders, selects or counts across files. The project's own hooks that may do so are shown
stand-ins for the tests of other parts (`stand_ins`); whatever does not work with these is
found out, and the suite then collected anew as a whole.
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
_MODIFY = "pytest_collection_modifyitems"
_COLLECTING = {"pytest_collection", _MODIFY}
# What collectors see and the host, where the session ends, does not.
_SEEING = {
    *(_MODIFY, "pytest_collection_finish", "pytest_collectreport"),
    *("pytest_deselected", "pytest_itemcollected"),
}
# What a host hears of tests, before it can show them.
_HEARING = {"pytest_runtest_logstart", "pytest_runtest_logreport", "pytest_runtest_logfinish"}
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
        if hooks & _SEEING and hooks & _ENDING and not _learns_from_all(hooks, plugin, config):
            both = f"`{min(hooks & _SEEING)}` and `{min(hooks & _ENDING)}`"
            return f"{both} in `{name}` may share what they learn"
    return None


def learns_for_the_end(config: pytest.Config) -> bool:
    """Whether hooks are to see all tests where the session ends."""
    manager = config.pluginmanager
    for plugin in manager.get_plugins():
        hooks = {caller.name for caller in manager.get_hookcallers(plugin) or ()}
        if hooks & _SEEING and hooks & _ENDING and _learns_from_all(hooks, plugin, config):
            return True
    return False


def _learns_from_all(hooks: set[str], plugin: Any, config: pytest.Config) -> bool:
    """Whether it is enough to show all tests to the hooks of a plugin before the session ends."""
    return is_local(plugin, config) and hooks & _SEEING == {_MODIFY} and not hooks & _HEARING


def _foreign(plugin: Any, config: pytest.Config) -> bool:
    package = package_of(plugin)
    if package == "pytest_randomly":
        return bool(config.getoption("randomly_reorganize", True))
    return package not in _OURS and package not in _HARMLESS


def why_of_order(owner: str, known: Mapping[str, Any], digests: Mapping[str, str]) -> str | None:
    """Why parts are not to be trusted with the project's own hooks yet.

    They were compared with a collection of the whole under the same conftests, plugins and
    options, or can be this time, for the test files are those of then.
    """
    if not known.get("code"):
        return f"`{owner}` may order or select tests, so parts are compared with this from now on"
    if known["code"] != digests["code"]:
        return f"`{owner}` may order or select tests, and settings or conftests have changed"
    if known["inputs"] != digests["inputs"] and not known.get("compared"):
        return f"`{owner}` may order or select tests, and test files have changed"
    return None


def parameter_scopes(item: Any) -> Mapping[str, Any] | None:
    """pytest's scope of each parameter of a test; None where this pytest does not tell."""
    return getattr(item.callspec, "_arg2scope", None) if hasattr(item, "callspec") else {}


def wide_parameters(items: Iterable[Any]) -> str | None:
    """pytest brings tests together that share a parameter of wide scope, whatever their file."""
    for item in items:
        scopes = parameter_scopes(item)
        if scopes is None:
            return "this pytest does not tell the scopes of parameters"
        for argument, scope in scopes.items():
            if scope.value in _WIDE_SCOPES:
                return f"the parameters of `{argument}` have {scope.value} scope"
    return None
