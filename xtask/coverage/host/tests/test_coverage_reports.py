"""The report program against coverage's own commands, in a small project with real data."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from coverage import CoverageData, control
from coverage.parser import PythonParser

HOST = Path(__file__).parent.parent
sys.path.insert(0, str(HOST))

import coverage_reports as report  # noqa: E402

import xtask_forks  # noqa: E402
import xtask_shared  # noqa: E402

SOURCES = {
    "pkg/__init__.py": "",
    "pkg/a.py": "def f(x):\n    if x > 1:\n        return 1\n    return 2\n",
    "pkg/b.py": "def g(x):\n    for i in range(x):\n        print(i)\n    return x\n",
    "pkg/never.py": "a = 1\nb = 2\n",
    "one.py": "from pkg.a import f\nf(1)\n",
    "two.py": "from pkg import a, b\na.f(2)\nb.g(0)\n",
    "three.py": "from pkg import b\nb.g(2)\n",
}

CONFIG = "[run]\nbranch = true\nsource = pkg\n[report]\nshow_missing = true\nprecision = 2\n"


@pytest.fixture()
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in SOURCES.items():
        path = tmp_path / "proj é" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    root = tmp_path / "proj é"
    (root / ".coveragerc").write_text(CONFIG)
    monkeypatch.chdir(root)
    for name in list(os.environ):
        if name.startswith("COV"):
            monkeypatch.delenv(name)
    return root


def coverage(*words: str, expect: int = 0) -> str:
    """Type a command of coverage's own, in the current folder."""
    done = subprocess.run(
        [sys.executable, "-m", "coverage", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout


def part(name: str, split: int | None = None, *options: str, required: bool = True) -> dict:
    """Run a script and return its data file as a part."""
    file = Path("parts", f"{name}.data").absolute()
    file.parent.mkdir(exist_ok=True)
    coverage("run", f"--data-file={file}", *options, f"{name}.py")
    return {"split": split, "file": str(file), "required": required}


def three_parts() -> list[dict]:
    return [part(name, split) for split, name in enumerate(("one", "two", "three"), start=1)]


def ask(parts: list[dict] | None, **changes: Any) -> dict[str, Any]:
    request = {
        "parts": parts,
        "complete": True,
        "data_file": os.path.abspath(".coverage"),
        "incomplete_data_file": os.path.abspath("partial/.coverage"),
        "config_file": True,
        "source": None,
        "options": {},
        "lines_of": [],
        "reports": {"term": None},
        "fail_under": None,
        "processes": 1,
        "xml_top": None,
    }
    told = report.answer({**request, **changes})
    assert told["fatal"] is None, told["fatal"]
    return told


def expected_table(parts: list[dict]) -> str:
    """What coverage's own two commands print for these parts."""
    data = f"--data-file={os.path.abspath('own/.coverage')}"
    os.makedirs("own", exist_ok=True)
    coverage("combine", "--keep", data, *(p["file"] for p in parts))
    return coverage("report", data)


def rows(file: str) -> set[tuple]:
    """Everything measured, by names."""
    with sqlite3.connect(file) as db:
        arcs = "select path, context, fromno, tono from arc join file on file.id = file_id"
        arcs += " join context on context.id = context_id"
        files = "select path, '', 0, 0 from file"
        return set(db.execute(f"{arcs} union all {files}"))


def beside() -> set[str]:
    return {name for name in os.listdir(".") if name.startswith((".cov", ".xtask"))}


class TestLines:
    def test_are_those_of_coverage_and_only_where_asked_for(self, project: Path) -> None:
        parts = [part("one", 1), part("two", 2, "--branch")]
        wanted = [os.path.realpath(name) for name in ("pkg/b.py", "pkg/never.py", "one.py")]
        told = ask(parts, lines_of=wanted)
        coverage("json", "-q", "-o", "own.json")
        with open("own.json", encoding="utf-8") as file:
            own = json.load(file)["files"]
        assert [lines["path"] for lines in told["lines"]] == ["pkg/b.py", "pkg/never.py"]
        for lines in told["lines"]:
            theirs = own[lines["path"]]
            assert lines["missing"] == theirs["missing_lines"]
            assert set(lines["statements"]) - set(lines["missing"]) == set(theirs["executed_lines"])
            assert lines["file"] == os.path.realpath(lines["path"])
        assert told["lines"][0]["branches"] == [(2, 2, 1)]
        assert ask(None)["lines"] == []


class TestAhead:
    @pytest.fixture()
    def parsed(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """Names of the files that are parsed, as long as nobody asks for anything."""
        names: list[str] = []
        parse = PythonParser.parse_source

        def spied(parser: PythonParser) -> None:
            names.append(os.path.basename(parser.filename))
            parse(parser)

        monkeypatch.setattr(PythonParser, "parse_source", spied)
        monkeypatch.setattr(xtask_shared, "_parsers", {})
        return names

    @pytest.fixture()
    def asker(self, monkeypatch: pytest.MonkeyPatch) -> Any:
        """The other end of the program's stdin."""
        reading, writing = os.pipe()
        with open(reading) as stdin, open(writing, "wb", buffering=0) as ours:
            monkeypatch.setattr(sys, "stdin", stdin)
            yield ours

    def ahead(self, *files: str) -> None:
        known = {"config_file": True, "source": None, "options": {}}
        report.ahead({**known, "files": files})

    def test_what_is_parsed_ahead_is_not_parsed_again(
        self, project: Path, parsed: list[str], asker: Any
    ) -> None:
        parts = three_parts()
        self.ahead("pkg/a.py", "pkg/gone.py", "pkg/b.py")
        assert parsed == ["a.py", "b.py"]
        told = ask(parts)
        assert told["term"] == expected_table(parts)
        assert parsed[2:] == ["__init__.py", "never.py"]

    def test_a_file_that_has_changed_since_is(
        self, project: Path, parsed: list[str], asker: Any
    ) -> None:
        parts = three_parts()
        self.ahead("pkg/a.py", "pkg/b.py")
        Path("pkg/b.py").write_text(SOURCES["pkg/b.py"] + "more = 1\n")
        assert ask(parts)["term"] == expected_table(parts)
        assert parsed[2:].count("b.py") == 1 and "a.py" not in parsed[2:]

    def test_a_file_is_if_other_lines_are_excluded_by_now(
        self, project: Path, parsed: list[str], asker: Any
    ) -> None:
        parts = three_parts()
        self.ahead("pkg/a.py")
        (project / ".coveragerc").write_text(CONFIG + "exclude_also =\n    return 1\n")
        assert ask(parts)["term"] == expected_table(parts)
        assert parsed.count("a.py") == 2

    def test_a_file_that_is_gone_since_is_missing(
        self, project: Path, parsed: list[str], asker: Any
    ) -> None:
        parts = three_parts()
        self.ahead("pkg/a.py")
        os.remove("pkg/a.py")
        told = ask(parts)
        assert "No source for code" in told["no_totals"] and "a.py" in told["no_totals"]

    def test_a_request_ends_it(self, project: Path, parsed: list[str], asker: Any) -> None:
        asker.write(b"{}")
        self.ahead("pkg/a.py", "pkg/b.py")
        assert parsed == []

    def test_so_does_its_limit(
        self, project: Path, parsed: list[str], asker: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(xtask_shared, "AHEAD", 1)
        self.ahead("pkg/a.py", "pkg/b.py")
        assert parsed == ["a.py"]


class TestCombine:
    def test_gives_the_table_and_the_data_of_coverage(self, project: Path) -> None:
        parts = three_parts()
        told = ask(parts)
        assert told["term"] == expected_table(parts)
        assert "TOTAL" in told["term"]
        assert rows(".coverage") == rows("own/.coverage")
        assert (told["combined"], told["problems"], told["warnings"]) == (3, [], [])
        assert told["data_file"] == os.path.abspath(".coverage")
        assert all(os.path.exists(p["file"]) for p in parts)

    def test_leaves_stale_files_beside_alone(self, project: Path) -> None:
        parts = [part("one", 1)]
        stale = part("three")
        shutil.copy(stale["file"], ".coverage.stale")
        Path(".coverage.broken").write_text("garbage")
        told = ask(parts, reports={"term": None, "html": None, "xml": None})
        assert told["term"] == expected_table(parts)
        assert beside() == {".coverage", ".coveragerc", ".coverage.stale", ".coverage.broken"}

    def test_replaces_the_data_of_an_earlier_run(self, project: Path) -> None:
        ask([part("three", 1)])
        parts = [part("one", 1)]
        assert ask(parts)["term"] == expected_table(parts)

    def test_counts_equal_files_as_combined(self, project: Path) -> None:
        first = part("one", 1)
        twin = {**first, "split": 2, "file": first["file"] + ".twin"}
        shutil.copy(first["file"], twin["file"])
        told = ask([first, twin])
        assert (told["combined"], told["problems"]) == (2, [])
        assert told["term"] == expected_table([first])

    def test_does_not_trust_a_hash_in_a_file_name(self, project: Path) -> None:
        """Some versions leave an outdated hash in the name, and then skip what is new."""
        one, two = part("one", 1), part("three", 2)
        for number, p in enumerate((one, two)):
            name = os.path.abspath(f"parts/.coverage.host.pid{number}.Xabcdefx.HAAAAAAAAAAh")
            os.rename(p["file"], name)
            p["file"] = name
        told = ask([one, two])
        assert told["combined"] == 2
        assert "b.py" in told["term"] and told["totals"]["missing"] == 3

    def test_applies_the_paths_setting(self, project: Path) -> None:
        shutil.copytree("pkg", "elsewhere/pkg")
        with open(".coveragerc", "a") as config:
            config.write("[paths]\nsource =\n    pkg\n    */elsewhere/pkg\n")
        shutil.copy("three.py", "elsewhere/four.py")
        parts = [part("one", 1), {**part("elsewhere/four", 2, "--source=elsewhere/pkg")}]
        shutil.rmtree("elsewhere")
        told = ask(parts)
        assert told["term"] == expected_table(parts)
        assert "elsewhere" not in told["term"]

    def test_removes_old_leftovers_only(self, project: Path) -> None:
        for name in (report.TEMPORARY + "1", report.TEMPORARY + "2", "mine"):
            Path(name).write_text("")
        os.utime(report.TEMPORARY + "1", (0, 0))
        os.utime("mine", (0, 0))
        ask([part("one", 1)])
        assert beside() == {".coverage", ".coveragerc", report.TEMPORARY + "2"}
        assert os.path.exists("mine")

    def test_keeps_the_old_data_when_killed(self, project: Path) -> None:
        """Killed as late as possible: everything is combined, nothing is renamed."""
        ask([part("three", 1)])
        before = Path(".coverage").read_bytes()
        request = {"parts": [part("one", 1)], "complete": True, "options": {}, "source": None}
        request.update(data_file=os.path.abspath(".coverage"), config_file=True)
        code = f"import sys; sys.path.insert(0, {str(HOST)!r})\n"
        code += "import os, coverage_reports as report\n"
        code += "os.replace = lambda *_: os.kill(os.getpid(), 9)\n"
        code += f"report.answer({request!r})"
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
        assert Path(".coverage").read_bytes() == before
        assert not [name for name in beside() if name.startswith(".coverage.")]


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:20_000])


def corrupt(path: Path) -> None:
    """Break a table page, far behind the header."""
    data = bytearray(path.read_bytes())
    assert len(data) > 5 * 4096
    data[4 * 4096 :] = b"\xa5" * (len(data) - 4 * 4096)
    path.write_bytes(data)


def corrupt_unseen(path: Path) -> None:
    """Break a page that no query reads by chance."""
    with sqlite3.connect(path) as db:
        numbers = ((n, n + 1) for n in range(1000, 9000))
        db.executemany("insert into arc select file_id, context_id, ?, ? from arc limit 1", numbers)
    data = bytearray(path.read_bytes())
    (size,) = sqlite3.connect(path).execute("pragma page_size").fetchone()
    middle = len(data) // size // 2 * size
    data[middle : middle + size] = b"\xa5" * size
    path.write_bytes(data)


def another_database(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as db:
        db.execute("create table t (a)")


def cut_off(path: Path) -> None:
    """As coverage leaves it when its process ends right after it has made the tables."""
    with sqlite3.connect(path) as db:
        for table in report.TABLES:
            db.execute(f"delete from {table}")


def wrong_schema(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("update coverage_schema set version = 99")


def wrong_tracer(path: Path) -> None:
    """Only coverage itself finds this, with half of the file combined."""
    with sqlite3.connect(path) as db:
        db.execute("insert into tracer (file_id, tracer) select id, 'other' from file")


FAULTS = {
    "missing": (Path.unlink, "is missing"),
    "empty": (lambda path: path.write_bytes(b""), "is empty"),
    "garbage": (lambda path: path.write_text("garbage" * 1000), "is damaged: "),
    "truncated": (truncate, "is damaged: "),
    "corrupt": (corrupt, "is damaged: "),
    "corrupt unseen": (corrupt_unseen, "is damaged: "),
    "folder": (lambda path: (path.unlink(), path.mkdir()), "is damaged: "),
    "database": (another_database, "is not a coverage data file"),
    "cut off": (cut_off, "is damaged: "),
    "schema": (wrong_schema, "has data format 99, this coverage reads "),
    "tracer": (wrong_tracer, "cannot be combined: Conflicting file tracer name"),
}


class TestDamage:
    @pytest.mark.parametrize("fault", FAULTS)
    def test_names_the_part_and_reports_the_others(self, project: Path, fault: str) -> None:
        ask([part("three", 1)])
        before = Path(".coverage").read_bytes()
        parts = three_parts()
        spoil, words = FAULTS[fault]
        spoil(Path(parts[1]["file"]))
        told = ask(parts)
        (problem,) = told["problems"]
        assert (problem["split"], problem["file"]) == (2, parts[1]["file"])
        assert problem["what"].startswith(words)
        assert told["combined"] == 2
        assert told["data_file"] == os.path.abspath("partial/.coverage")
        assert told["term"] == expected_table([parts[0], parts[2]])
        assert Path(".coverage").read_bytes() == before
        assert beside() == {".coverage", ".coveragerc"}

    @pytest.mark.parametrize("fault", FAULTS)
    def test_of_a_subprocess_is_a_warning(self, project: Path, fault: str) -> None:
        first, other = part("one", 1), part("two", None, required=False)
        spoil, words = FAULTS[fault]
        spoil(Path(other["file"]))
        told = ask([first, other])
        assert told["problems"] == []
        assert told["data_file"] == os.path.abspath(".coverage")
        named = [text for text in told["warnings"] if f"`{other['file']}` {words}" in text]
        assert len(named) == (0 if fault == "missing" else 1)

    def test_a_part_that_measured_otherwise_is_named(self, project: Path) -> None:
        parts = [part("one", 1), part("two", 2), part("three", 3, "--rcfile=", "--source=pkg")]
        told = ask(parts)
        (problem,) = told["problems"]
        assert problem["split"] == 3
        assert problem["what"] == "measured lines, the other parts measured branches"
        assert told["term"] == expected_table(parts[:2])

    def test_nothing_readable_leaves_everything_alone(self, project: Path) -> None:
        ask([part("three", 1)])
        before = Path(".coverage").read_bytes()
        told = ask([{"split": 1, "file": os.path.abspath("none"), "required": True}])
        assert told["data_file"] is None and told["totals"] is None and told["term"] is None
        assert [p["what"] for p in told["problems"]] == ["is missing"]
        assert Path(".coverage").read_bytes() == before

    def test_a_file_without_the_arcs_flag_is_sound(self, project: Path) -> None:
        parts = three_parts()
        table = expected_table(parts)
        for p in parts[:2]:
            with sqlite3.connect(p["file"]) as db:
                db.execute("delete from meta where key = 'has_arcs'")
        told = ask(parts)
        assert (told["problems"], told["term"]) == ([], table)

    def test_a_part_that_measured_nothing_is_sound(self, project: Path) -> None:
        Path("nothing.py").write_text("")
        parts = [part("one", 1), part("nothing", 2, "--source=absent")]
        told = ask(parts)
        assert (told["problems"], told["combined"]) == ([], 2)

    def test_found_earlier_makes_the_result_incomplete(self, project: Path) -> None:
        told = ask([part("one", 1)], complete=False)
        assert told["data_file"] == os.path.abspath("partial/.coverage")


def without_time(kind: str, text: str) -> str:
    if kind == "xml":
        return re.sub(r'timestamp="\d+"', "", text)
    if kind == "json":
        return re.sub(r'"timestamp": "[^"]*"', "", text)
    return re.sub(r"created at .*", "", text)


def called_with(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> list[tuple]:
    """Return a list that gets the arguments of each call of a function from now on."""
    calls = []
    function = getattr(owner, name)
    monkeypatch.setattr(owner, name, lambda *args: (calls.append(args), function(*args))[1])
    return calls


# What is added to the sections `[run]`, `[report]` and `[html]`.
EXTRAS = {
    "plain": ("", "", ""),
    "skipping": ("", "skip_covered = true\nskip_empty = true\nsort = -miss\n", ""),
    "total only": ("", "format = total\nprecision = 0\n", ""),
    "omitting": ("", "omit = pkg/a.py\n", ""),
    "excluding": ("", "exclude_also =\n    for i in\n", "skip_covered = true\n"),
    "filtering": ("context = one\n", "contexts = one.*\n", ""),
    "showing": ("context = one\n", "", "show_contexts = true\n"),
    "unreadable": ("", "ignore_errors = true\n", ""),
    "plugged": ("plugins = stanza\n", "sort = Cover\n", ""),
    "mapped": ("", "", "\n[paths]\nall =\n    pkg\n    */elsewhere/pkg\n"),
}

PLUGIN = """
from coverage import CoveragePlugin, FileReporter
class Reporter(FileReporter):
    def lines(self):
        return set(range(1, 1 + len(self.source().splitlines())))
    def arcs(self):
        return {(1, 2), (1, 3)}
class Plugin(CoveragePlugin):
    def file_reporter(self, filename):
        return Reporter(filename)
def coverage_init(registry, options):
    registry.add_file_tracer(Plugin())
"""


def part_of_plugin(branch: bool, plugin: str = "stanza") -> dict:
    """Data of a file that is no Python."""
    Path("pkg/verse.txt").write_text("one\ntwo <b>\nthree\n")
    data = CoverageData(basename=os.path.abspath("parts/verse.data"))
    verse = os.path.abspath("pkg/verse.txt")
    (data.add_arcs if branch else data.add_lines)({verse: [(1, 2)] if branch else [1, 2]})
    data.add_file_tracers({verse: f"{plugin}.Plugin"})
    data.write()
    return {"split": 4, "file": data.data_filename(), "required": True}


class TestReports:
    @pytest.mark.parametrize("branch", [True, False], ids=["branch", "line"])
    @pytest.mark.parametrize("extra", EXTRAS)
    def test_are_those_of_coverages_commands(
        self, project: Path, monkeypatch: pytest.MonkeyPatch, extra: str, branch: bool
    ) -> None:
        run, report, html = EXTRAS[extra]
        settings = CONFIG.replace("[report]\n", f"{run}[report]\n{report}")
        settings = settings.replace("true", str(branch).lower(), 1) + f"[html]\n{html}"
        Path(".coveragerc").write_text(
            re.sub(r"(?s)(precision = 0.*?)precision = 2", r"\1", settings)
        )
        Path("stanza.py").write_text(PLUGIN)
        monkeypatch.syspath_prepend(str(project))
        parts = [part("one", 1, "--context=one"), part("two", 2), part("three", 3)]
        if extra == "plugged":
            parts.append(part_of_plugin(branch))
        if extra == "unreadable":
            Path("pkg/b.py").write_text("def g(:\n")
        monkeypatch.setattr(xtask_forks, "FEW", 0)
        forks = called_with(monkeypatch, xtask_forks.os, "fork")
        files = {"xml": "c.xml", "json": "c.json", "lcov": "c.lcov", "markdown": "c.md"}
        told = ask(parts, reports={"term": None, "html": "htm", **files}, processes=3)
        assert len(forks) == 6
        assert {made["error"] for made in told["reports"].values()} == {None}
        assert told["term"] == coverage("report")
        assert Path("c.md").read_text() == coverage("report", "--format=markdown")
        for kind in ("xml", "json", "lcov"):
            mine = Path(files[kind]).read_text()
            coverage(kind, "-o", "own." + kind)
            assert without_time(kind, mine) == without_time(kind, Path("own." + kind).read_text())
        coverage("html", "-d", "ownhtm")
        names = {path.name for path in Path("ownhtm").iterdir()}
        assert names == {path.name for path in Path("htm").iterdir()}
        assert sum(name.endswith("_py.html") for name in names) >= 1
        for name in names:
            mine, own = (Path(folder, name).read_bytes() for folder in ("htm", "ownhtm"))
            if name.endswith(".html"):
                assert without_time("html", mine.decode()) == without_time("html", own.decode())
            elif name == "status.json":
                assert json.loads(mine)["files"] == json.loads(own)["files"]
            else:
                assert mine == own

    @pytest.mark.parametrize("processes", [2, 3])
    def test_of_a_process_that_died_have_failed(
        self, project: Path, monkeypatch: pytest.MonkeyPatch, processes: int
    ) -> None:
        """Whoever comes to the page of that file dies: the report's process, or a helper."""
        death = "\n    def source_token_lines(self):"
        death += "\n        import os\n        os.kill(os.getpid(), 9)"
        Path("stanza_of_death.py").write_text(
            PLUGIN.replace("\nclass Plugin", death + "\nclass Plugin")
        )
        settings = CONFIG.replace("[report]\n", "plugins = stanza_of_death\n[report]\n")
        Path(".coveragerc").write_text(settings)
        monkeypatch.syspath_prepend(str(project))
        monkeypatch.setattr(xtask_forks, "FEW", 0)
        parts = [part("one", 1), part_of_plugin(branch=True, plugin="stanza_of_death")]
        reports = {"term": None, "html": "htm", "xml": "c.xml"}
        told = ask(parts, reports=reports, processes=processes)
        errors = {kind: made["error"] for kind, made in told["reports"].items()}
        killed = "its process was ended by signal 9"
        assert errors == {"term": None, "html": killed, "xml": None}
        assert told["term"] == coverage("report")
        assert not Path("htm/index.html").exists() and Path("c.xml").exists()

    def test_are_made_without_room_for_processes(
        self, project: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse() -> int:
            raise BlockingIOError(11, "Resource temporarily unavailable")

        monkeypatch.setattr(xtask_forks, "FEW", 0)
        monkeypatch.setattr(xtask_forks.os, "fork", refuse)
        told = ask(three_parts(), reports={"term": None, "html": "htm"}, processes=2)
        assert told["term"] == coverage("report")
        self.same_pages()

    def test_renew_the_pages_that_changed(
        self, project: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(xtask_forks, "FEW", 0)
        for parts in ([part("one", 1)], three_parts()):
            ask(parts, reports={"html": "htm"}, processes=2)
        self.same_pages()

    def same_pages(self) -> None:
        coverage("html", "-d", "ownhtm")
        for page in Path("ownhtm").glob("*.html"):
            mine = Path("htm", page.name).read_text()
            assert without_time("html", mine) == without_time("html", page.read_text())

    def test_are_the_same_from_one_process(self, project: Path) -> None:
        told = ask(three_parts(), reports={"term": None, "html": "htm", "xml": "c.xml"})
        assert told["term"] == coverage("report")
        coverage("xml", "-o", "own.xml")
        mine, own = (Path(name).read_text() for name in ("c.xml", "own.xml"))
        assert without_time("xml", mine) == without_time("xml", own)
        self.same_pages()

    def test_go_where_the_project_wants_them(self, project: Path) -> None:
        with open(".coveragerc", "a") as config:
            config.write("[html]\ndirectory = out/h\n[xml]\noutput = out/c.xml\n")
        told = ask([part("one", 1)], reports={"html": None, "xml": None, "lcov": None})
        assert {kind: made["path"] for kind, made in told["reports"].items()} == {
            "html": os.path.abspath("out/h"),
            "xml": os.path.abspath("out/c.xml"),
            "lcov": os.path.abspath("coverage.lcov"),
        }
        assert all(os.path.exists(made["path"]) for made in told["reports"].values())

    def test_analyse_each_file_once(self, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        parsed = called_with(monkeypatch, PythonParser, "parse_source")
        analysed = called_with(monkeypatch, control, "analysis_from_file_reporter")
        ask(three_parts(), reports=dict.fromkeys(("term", "html", "xml", "json", "markdown")))
        files = ["__init__.py", "a.py", "b.py", "never.py"]
        assert sorted(os.path.basename(parser.filename) for (parser,) in parsed) == files
        assert sorted(os.path.basename(arguments[3]) for arguments in analysed) == files

    def test_that_fail_leave_the_others_and_the_old_file(self, project: Path) -> None:
        Path("c.xml").mkdir()
        Path("c.json").write_text("old")
        told = ask(
            [part("one", 1)],
            reports={"xml": "c.xml", "json": "/proc/no/c.json", "lcov": "c.lcov"},
        )
        errors = {kind: made["error"] for kind, made in told["reports"].items()}
        assert "directory" in errors["xml"] and "/proc" in errors["json"]
        assert errors["lcov"] is None
        assert beside() == {".coverage", ".coveragerc"}

    def test_name_a_source_that_is_gone(self, project: Path) -> None:
        parts = three_parts()
        os.unlink("pkg/b.py")
        Path("c.xml").write_text("old")
        told = ask(parts, reports={"term": None, "xml": "c.xml"})
        assert told["totals"] is None and "b.py" in told["no_totals"]
        assert all("b.py" in made["error"] for made in told["reports"].values())
        assert Path("c.xml").read_text() == "old"
        assert told["data_file"] == os.path.abspath(".coverage")

    def test_ignored_errors_are_warnings_said_once(self, project: Path) -> None:
        with open(".coveragerc", "a") as config:
            config.write("ignore_errors = true\n")
        parts = three_parts()
        os.unlink("pkg/b.py")
        told = ask(parts, reports={"term": None, "xml": "c.xml"})
        assert told["term"] == coverage("report")
        assert len([text for text in told["warnings"] if "b.py" in text]) == 1

    def test_say_that_there_is_nothing(self, project: Path) -> None:
        Path("nothing.py").write_text("")
        told = ask([part("nothing", 1, "--source=absent")])
        assert told["no_totals"] == told["reports"]["term"]["error"] == "No data to report."

    def test_again_without_running(self, project: Path) -> None:
        first = ask(three_parts())
        shutil.copy("parts/one.data", ".coverage.stale")
        again = ask(None)
        assert again["term"] == first["term"] and again["combined"] == 0
        assert ".coverage.stale" in beside()

    def test_again_without_data(self, project: Path) -> None:
        told = ask(None)
        assert [problem["what"] for problem in told["problems"]] == ["is missing"]
        assert beside() == {".coveragerc"}


class TestTotals:
    def test_are_those_of_coverages_json(self, project: Path) -> None:
        told = ask(three_parts(), reports={"json": "c.json"})
        own = json.loads(Path("c.json").read_text())
        names = {
            "percent": "percent_covered",
            "percent_text": "percent_covered_display",
            "statements": "num_statements",
            "missing": "missing_lines",
            "excluded": "excluded_lines",
            "branches": "num_branches",
            "partial_branches": "num_partial_branches",
        }
        assert told["totals"].pop("files") == 4
        assert told["totals"] == {mine: own["totals"][name] for mine, name in names.items()}
        assert {file["path"]: file["percent"] for file in told["files"]} == {
            name: file["summary"]["percent_covered"] for name, file in own["files"].items()
        }
        counts = ("num_statements", "missing_lines", "num_branches", "missing_branches")
        assert {file["path"]: tuple(file.values())[2:] for file in told["files"]} == {
            name: tuple(file["summary"][count] for count in counts)
            for name, file in own["files"].items()
        }

    @pytest.mark.parametrize(
        ("covered", "precision", "fail_under"),
        [
            (17_999, 0, 90),  # 89.995 is shown as 90 and passes
            (17_999, 2, 90),  # 89.995 rounds to 90.0 or 89.99, as floats will
            (17_998, 2, 90),
            (17_998, 1, 90),
            (17_900, 0, 90),  # 89.5 rounds to even
            (17_899, 0, 90),
            (19_999, 0, 100),  # 100 must really be 100
            (20_000, 0, 100),
            (17_998, 0, 89.99),
            (17_997, 0, 89.99),
            (2, 0, 0),
        ],
    )
    def test_meet_the_threshold_as_coverage_says(
        self, project: Path, covered: int, precision: int, fail_under: float
    ) -> None:
        Path(".coveragerc").write_text(f"[report]\nprecision = {precision}\n")
        ran = "x = 1\n" * max(covered - 2, 0) + "x = 0\nif x:\n"
        never = "    y = 1\n" * (20_000 - covered)
        Path("big.py").write_text(ran + never if never else "x = 1\n" * covered)
        told = ask([part("big", 1)], fail_under=fail_under)
        said = coverage("report", f"--fail-under={fail_under}", expect=2 if told["below"] else 0)
        words = said.partition("Coverage failure: ")[2].strip()
        assert (told["below"] or "") == words

    def test_meet_the_configured_threshold(self, project: Path) -> None:
        with open(".coveragerc", "a") as config:
            config.write("fail_under = 99.5\n")
        told = ask([part("one", 1)])
        assert told["fail_under"] == 99.5 and told["below"]
        assert ask(None, fail_under=10)["below"] is None


class TestAnswer:
    def test_is_one_marked_line_in_ascii(
        self, project: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "path", list(sys.path))
        monkeypatch.setattr(report, "answer", lambda _: {"noise\udcff": ["é\n", 1, None]})
        report.main({})
        text = out.buffer.getvalue().decode("ascii")
        assert text.startswith("\n" + report.MARK) and text.count("\n") == 2
        assert json.loads(text[len(report.MARK) + 1 :]) == {"noise\\udcff": ["é\n", 1, None]}

    def test_says_that_the_configuration_is_wrong(self, project: Path) -> None:
        with pytest.raises(AssertionError, match="config"):
            ask([part("one", 1)], fail_under=101)


class TestXmlOfARepository:
    """File names as the repository has them, whatever coverage would write."""

    @pytest.mark.parametrize("relative", ["relative_files = true\n", ""])
    def test_names_begin_at_the_top(
        self, project: Path, monkeypatch: pytest.MonkeyPatch, relative: str
    ) -> None:
        monkeypatch.setattr(control, "XmlReporter", control.XmlReporter)
        for folder in ("lib", "pkg"):
            Path(folder).mkdir(exist_ok=True)
            Path(folder, "same.py").write_text("a = 1\n")
        Path(".coveragerc").write_text(f"[run]\n{relative}source = lib,pkg\n")
        parts = [part("two", 1)]
        top = str(project.parent)
        ask(parts, reports={"html": "htm", "xml": "c.xml", "lcov": "c.lcov"}, xml_top=top)
        text = Path("c.xml").read_text()
        assert re.findall("<source>(.*)</source>", text) == [top]
        names = ["lib/same", "pkg/__init__", "pkg/a", "pkg/b", "pkg/never", "pkg/same"]
        wanted = [f"proj é/{name}.py" for name in names]
        assert sorted(re.findall('filename="(.*?)"', text)) == wanted
        # Of files with one name coverage's own report keeps the last, so only totals are equal.
        coverage("xml", "-o", "own.xml")
        totals = [re.findall("lines-valid=.*", it) for it in (text, Path("own.xml").read_text())]
        assert len(totals[0]) == 1
        assert totals[0] == totals[1]
        coverage("lcov", "-o", "own.lcov")
        assert Path("c.lcov").read_text() == Path("own.lcov").read_text()
