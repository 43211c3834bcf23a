"""The command line, from typing to printing."""

import pytest

from inventory import __version__
from inventory_cli.app import main

pytestmark = pytest.mark.cli


class TestCatalogue:
    def test_lists(self, run):
        code, out, _ = run("list")
        assert code == 0
        assert out.splitlines()[1] == "CUP-1001    Cup, blue      12.00 EUR"

    @pytest.mark.parametrize(
        ("arguments", "count"),
        [(["green"], 1), (["--tag", "food"], 2), (["--tag", "food", "black"], 1)],
    )
    def test_lists_some(self, run, arguments, count):
        assert len(run("list", *arguments)[1].splitlines()) == count

    def test_lists_none(self, run):
        assert run("list", "coffee") == (0, "no items\n", "")

    def test_exports_and_imports(self, run, tmp_path):
        path = tmp_path / "shop.csv"
        assert run("export", path) == (0, "4 items exported\n", "")
        assert run("import", path) == (0, "4 items imported\n", "")

    def test_refuses_a_broken_file(self, run, tmp_path):
        path = tmp_path / "shop.json"
        path.write_text("{", encoding="utf-8")
        code, out, err = run("import", path)
        assert (code, out) == (1, "")
        assert err.startswith("inventory: line 1")


class TestStock:
    def test_receives(self, run):
        assert run("receive", "tea-100", 5)[1] == "15 x Green tea on hand\n"

    def test_issues(self, run):
        assert run("issue", "TEA-100", 2, "--on", "2024-03-01")[1].splitlines() == [
            "8 x Green tea on hand"
        ]

    def test_warns(self, run):
        assert "order soon: fewer than 5 left" in run("issue", "CUP-1001", 1)[1]

    def test_the_limit_can_be_set(self, run, monkeypatch):
        monkeypatch.setenv("INVENTORY_LOW_STOCK", "3")
        assert "order soon" not in run("issue", "CUP-1001", 1)[1]

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["issue", "TEA-100", 11], "11 of `TEA-100` wanted, 10 available"),
            (["receive", "TEA-999", 1], "no item `TEA-999` in the catalogue"),
            (["receive", "tea", 1], "`tea` is not a stock keeping unit"),
        ],
    )
    def test_says_what_went_wrong(self, run, arguments, message):
        code, _, err = run(*arguments)
        assert code == 1
        assert err.startswith(f"inventory: {message}")


class TestReports:
    @pytest.mark.parametrize(
        ("kind", "line"),
        [
            ("valuation", "          total               93.00 EUR"),
            ("low-stock", "CUP-1001    Cup, blue              4        5  soon"),
        ],
    )
    def test_prints(self, run, kind, line):
        assert line in run("report", kind)[1].splitlines()

    def test_prints_csv(self, run):
        assert run("report", "movements", "--style", "csv")[1].splitlines()[1] == (
            "2024-01-08,TEA-100,receipt,+10,first delivery"
        )


@pytest.mark.parametrize(
    ("code", "lines"),
    [
        ("4006381333931", ["valid (Germany)"]),
        ("4006381333930", ["not valid"]),
        ("978020137962", ["completed: 9780201379624", "valid (book)"]),
        ("40063813339?1", ["repaired: 4006381333931", "valid (Germany)"]),
    ],
)
def test_barcodes(run, code, lines):
    assert run("barcode", code)[1].splitlines() == lines


class TestUsage:
    def test_without_a_task(self, capsys):
        assert main([]) == 2
        assert capsys.readouterr().err.startswith("usage: inventory")

    def test_with_an_unknown_task(self, capsys):
        with pytest.raises(SystemExit) as caught:
            main(["dance"])
        assert caught.value.code == 2
        assert "invalid choice: 'dance'" in capsys.readouterr().err


class TestProcess:
    def test_prints_its_version(self, spawn):
        done = spawn("--version")
        assert (done.returncode, done.stdout.strip()) == (0, __version__)

    def test_fails_with_an_exit_code(self, spawn, template):
        done = spawn("--database", template, "issue", "TEA-100", 99)
        assert done.returncode == 1
        assert done.stderr == "inventory: 99 of `TEA-100` wanted, 10 available\n"
