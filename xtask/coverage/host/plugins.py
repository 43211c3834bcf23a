"""Plugins, and where they come from: pytest's, somebody's package, or the project's own."""

from __future__ import annotations

import os
import sys
import types
from typing import Any

import pytest


def module_of(plugin: Any) -> str:
    if isinstance(plugin, types.ModuleType):
        return plugin.__name__
    return (plugin if isinstance(plugin, type) else type(plugin)).__module__


def package_of(plugin: Any) -> str:
    return module_of(plugin).partition(".")[0]


def file_of(plugin: Any) -> str:
    module = plugin if isinstance(plugin, types.ModuleType) else sys.modules.get(module_of(plugin))
    return getattr(module, "__file__", None) or ""


def is_local(plugin: Any, config: pytest.Config) -> bool:
    """A conftest, or a plugin of the project's own."""
    file = file_of(plugin)
    if os.path.basename(file) == "conftest.py":
        return True
    inside = file.startswith(os.path.join(str(config.rootpath), ""))
    return inside and not is_installed(file)


def is_installed(file: str) -> bool:
    """Whether it lies where packages are installed, be that within the project."""
    return not {"site-packages", "dist-packages"}.isdisjoint(file.split(os.sep))


def name_of(plugin: Any, name: str, config: pytest.Config) -> str:
    """As the user knows it: the file, where it is the project's."""
    if is_local(plugin, config):
        return os.path.relpath(file_of(plugin), config.rootpath)
    # pluggy gives one that was registered without a name its number, another in each process.
    return package_of(plugin) if name == str(id(plugin)) else name
