"""The loader: what it has compiled serves the next host, as long as it is the same."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

HOST = Path(__file__).parent.parent
sys.path.insert(0, str(HOST))

import loader  # noqa: E402


@pytest.fixture()
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Loads a module with this text, and says what had to be compiled for that."""
    monkeypatch.delenv("XTASK_HOST_IS_MEASURED", raising=False)
    monkeypatch.setitem(sys.modules, "xtask_host", None)
    monkeypatch.setitem(sys.modules, "xtask_host.it", None)
    compiled: list[str] = []

    def spied(text: bytes, *args, **kwargs):
        compiled.append(text.decode())
        return compile(text, *args, **kwargs)

    monkeypatch.setattr(loader, "compile", spied, raising=False)

    def load(text: str):
        (tmp_path / "it.py").write_text(text)
        compiled.clear()
        module = loader.Loader(str(tmp_path)).load("it")
        return module, list(compiled)

    return load


TEXT = "def code(): return code.__code__.co_filename\nvalue = 1\n"


def kept(tmp_path: Path) -> Path:
    (file,) = (tmp_path / "__pycache__").iterdir()
    return file


def test_compiles_once(load):
    for expected in ([TEXT], []):
        module, compiled = load(TEXT)
        assert (module.value, module.code()) == (1, "<xtask it.py>")
        assert compiled == expected


def test_compiles_what_has_changed(load):
    load(TEXT)
    module, compiled = load(TEXT.replace("1", "2"))
    assert module.value == 2 and len(compiled) == 1


@pytest.mark.parametrize("damage", [lambda it: b"", lambda it: it[:40], lambda it: it[:16] + b"!"])
def test_compiles_again_what_is_damaged(load, tmp_path, damage):
    load(TEXT)
    file = kept(tmp_path)
    file.write_bytes(damage(file.read_bytes()))
    module, compiled = load(TEXT)
    assert module.value == 1 and compiled == [TEXT]
    assert load(TEXT)[1] == []


def test_does_without_where_nothing_can_be_kept(load, tmp_path):
    (tmp_path / "__pycache__").write_text("in the way")
    assert load(TEXT)[0].value == 1
