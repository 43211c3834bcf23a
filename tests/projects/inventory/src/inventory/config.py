"""Settings: from an ini file, and from the environment, which wins."""

from __future__ import annotations

import configparser
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from inventory.errors import FormatError

PREFIX = "INVENTORY_"
TRUE, FALSE = {"1", "yes", "true", "on"}, {"0", "no", "false", "off"}


@dataclass(frozen=True)
class Settings:
    """What can be set, with its defaults."""

    database: str = "inventory.db"
    currency: str = "EUR"
    low_stock: int = 5
    notify: bool = False
    audit_log: str = ""


def load(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Read the settings; a file that is named must exist."""
    settings = Settings()
    if path is not None:
        settings = _from_file(settings, path)
    return _from_environ(settings, environ)


def _from_file(settings: Settings, path: Path) -> Settings:
    parser = configparser.ConfigParser()
    try:
        with path.open(encoding="utf-8") as file:
            parser.read_file(file)
    except FileNotFoundError:
        raise FormatError(f"no settings in `{path.name}`: not found") from None
    except configparser.Error as error:
        raise FormatError(f"settings in `{path.name}` cannot be read") from error
    if not parser.has_section("inventory"):
        return settings
    known = {field.name for field in fields(Settings)}
    for key, text in parser.items("inventory"):
        if key not in known:
            raise FormatError(
                f"unknown setting `{key}` (known: {', '.join(sorted(known))})"
            )
        settings = _with(settings, key, text)
    return settings


def _from_environ(settings: Settings, environ: Mapping[str, str]) -> Settings:
    for field in fields(Settings):
        text = environ.get(PREFIX + field.name.upper())
        if text is not None:
            settings = _with(settings, field.name, text)
    return settings


def _with(settings: Settings, key: str, text: str) -> Settings:
    default = getattr(settings, key)
    value: Any = text
    if isinstance(default, bool):
        value = _boolean(key, text)
    elif isinstance(default, int):
        try:
            value = int(text)
        except ValueError:
            raise FormatError(f"setting `{key}` is not a number") from None
    return replace(settings, **{key: value})


def _boolean(key: str, text: str) -> bool:
    word = text.strip().lower()
    if word in TRUE:
        return True
    if word in FALSE:
        return False
    raise FormatError(f"setting `{key}` is neither yes nor no")
