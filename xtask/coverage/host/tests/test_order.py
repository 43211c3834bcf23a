"""Hooks that order, select and mark tests see the whole suite, wherever it is collected."""

from __future__ import annotations

import sys
import textwrap

import pytest

from data import contents, differences
from driver import HOST, run_all

sys.path.insert(0, str(HOST.parent))
from loader import Loader  # noqa: E402

sys.path.remove(str(HOST.parent))
stand_ins = Loader(str(HOST.parent)).load("stand_ins")

SUITE = {
    ".coveragerc": "[run]\nbranch = true\nsource = .\n",
    "pytest.ini": "[pytest]\nmarkers =\n    slow\n    order\n    extra\n    each\n",
    "tests/test_a.py": """
        import pytest

        PRIORITY = 3

        @pytest.mark.order(5)
        def test_z(): pass

        @pytest.mark.slow
        def test_a():
            "Ends last."

        @pytest.mark.parametrize("n", [2, 1, 3])
        def test_n(n): pass

        async def test_async(): pass
        """,
    "tests/test_b.py": """
        import pytest

        pytestmark = pytest.mark.order(4)

        class TestThem:
            weight = 2

            @pytest.fixture
            def thing(self): return object()

            @pytest.mark.parametrize("value", [object(), None])
            def test_value(self, value): pass

            def test_thing(self, thing): pass
            test_thing.priority = 7
        """,
    "tests/sub/test_c.py": """
        import unittest

        class Case(unittest.TestCase):
            def test_case(self): pass

        def test_b(tmp_path): pass
        def test_a(): pass
        """,
    "tests/sub/test_d.py": """
        import pytest

        @pytest.mark.order(1, why=object())
        def test_first(): pass

        @pytest.fixture(scope="module", params=[1, 2])
        def two(request): return request.param

        def test_two(two): pass
        def test_three(two): pass
        """,
}

HEAD = """import inspect, itertools, os, pytest

def pytest_collection_modifyitems(session, config, items):
"""

# What hooks do with items of which some are stand-ins.
WORKS = {
    "by their places among all": """
        items.reverse()
        items[:] = items[len(items) // 3:] + items[:len(items) // 3]
        files = [it.path for it in items]
        items.sort(key=lambda it: -files.count(it.path))
        for at, item in enumerate(items):
            if at % 3 == 2:
                item.add_marker(pytest.mark.skip(reason=f"{at} of {len(items)}"))
            item.add_marker(pytest.mark.xdist_group(f"g{at % 2}"))
        config.hook.pytest_deselected(items=items[1::4])
        items[:] = [it for at, it in enumerate(items) if at % 4 != 1]""",
    "by all that is told": """
        def key(item):
            marker, function = item.get_closest_marker("order"), getattr(item, "function", None)
            params = item.callspec.params if hasattr(item, "callspec") else {}
            return (
                marker.args[0] if marker else 9,
                type(item) is pytest.Function,
                inspect.iscoroutinefunction(function),
                getattr(item.module, "PRIORITY", 0),
                getattr(function, "priority", 0),
                function.__doc__ or "z",
                function.__code__.co_firstlineno,
                item.cls.__name__ if item.cls else "",
                "slow" in item.keywords,
                "tmp_path" in item.fixturenames,
                len(params),
                params.get("n", 0),
                item.location[1],
                len(item.listchain()),
                item.name,
            )
        items.sort(key=key)
        items.sort(key=lambda it: it.nodeid[::-1], reverse=bool(os.environ["UP"]))
        items.sort(key=lambda it: it.getparent(pytest.Module).name)""",
    "groups of modules and classes": """
        names = {item: item.module.__name__ for item in items}
        for name in sorted(set(names.values()))[::2]:
            items.sort(key=lambda it: names[it] == name)
        for name, group in itertools.groupby(items, key=lambda it: (it.parent, it.cls)):
            list(group)[-1].add_marker("extra")
        order = dict(zip(items, itertools.chain([7, 3, 5], itertools.count(9))))
        session.items = sorted(order, key=order.get)""",
    "other ids": """
        for at, item in enumerate(items):
            item.name = item.name.encode("utf-8").decode("unicode-escape") + str(at)
            item._nodeid = f"{item.nodeid}#{at}"
            item.user_properties.append(("at", at))
        last = [it for it in items if it.get_closest_marker("slow")]
        items[:] = [it for it in reversed(items) if it not in last] + last""",
    "around others": """
        pass

    @pytest.hookimpl(wrapper=True)
    def pytest_collection_finish(session):
        session.items.sort(key=lambda it: it.nodeid[::-1])
        return (yield)""",
}

# What they do that only works with the tests themselves.
NEEDS_THE_WHOLE = {
    "in spite of all": """
        def key(item):
            try:
                return item.function.__globals__["PRIORITY"]
            except:
                return 0
        items.sort(key=key)""",
    "unknown values": """
        found = [it.get_closest_marker("order") for it in items]
        assert not any(str(mark.kwargs.get("why")) == "" for mark in found if mark)""",
    "twice": "items *= 2",
    "an error": """
        kinds = [type(vars(it).get("_fixtureinfo")).__name__ for it in items]
        assert "Opaque" not in kinds""",
}


def hook(body: str) -> dict[str, str]:
    body = textwrap.indent(textwrap.dedent(body).strip(), "    ")
    return {**SUITE, "conftest.py": f"{HEAD}{body}\n"}


ENV = {"UP": "1"}


@pytest.mark.parametrize("body", WORKS.values(), ids=list(WORKS))
def test_a_hook_sees_the_whole_in_each_part(project, start, body):
    root = project(hook(body))
    whole = start(root, order={"after": 0}, env=ENV)
    run_all(whole, 1)
    parts = start(root, order=None, collectors=3, slots=2, env=ENV)
    run_all(parts, 2)
    assert parts.all("files"), parts.all("cannot-shard")
    assert parts.ids == whole.ids, parts.all("reordered")
    assert parts.outcomes() == whole.outcomes()
    (told,) = {one["order"]["result"] for one in whole.all("collected")}
    assert {one["order"]["result"] for one in parts.all("collected")} == {told}
    groups = [one.get("groups") for one in whole.all("ids")]
    assert (body is WORKS["by their places among all"]) == any(groups)
    deselected = [sum(one["deselected"] for one in it.all("collected")) for it in (whole, parts)]
    assert deselected[0] == deselected[1]
    assert parts.finish()["exit"] == whole.finish()["exit"], parts.output()
    assert not differences(contents(whole.data_files()), contents(parts.data_files()))


@pytest.mark.parametrize("body", NEEDS_THE_WHOLE.values(), ids=list(NEEDS_THE_WHOLE))
def test_a_hook_that_would_see_less_ends_the_parts(project, start, body):
    parts = start(project(hook(body)), order=None, collectors=2)
    parts.collect()
    told = parts.all("reordered")
    assert told and all("`conftest.py`" in it["why"] and not it["parts"] for it in told)


LOOKS = [
    bool,
    repr,
    hash,
    len,
    iter,
    int,
    lambda it: it == 1,
    lambda it: it in (1, 2),
    lambda it: 1 in it,
    lambda it: it[0],
    lambda it: it(),
    lambda it: it + 1,
    lambda it: it < 1,
    lambda it: it.name,
    lambda it: f"{it}",
    lambda it: hasattr(it, "name"),
    lambda it: getattr(it, "name", None),
    lambda it: setattr(it, "name", 1),
    lambda it: isinstance(it, str),
    lambda it: isinstance(1, it),
    lambda it: issubclass(it, str),
]


@pytest.mark.parametrize("look", LOOKS)
def test_what_is_not_known_cannot_be_looked_at(look):
    with pytest.raises(stand_ins.Unknown, match="a thing"):
        look(stand_ins.Opaque("a thing"))
    assert stand_ins.missed.pop() == "a thing"


def test_of_a_thing_some_may_be_known():
    known = stand_ins.Known("a thing", {"name": 1, "__class__": type}, {"name", "other"})
    assert known and known == known and {known: 2}[known] == 2
    assert known.name == 1 and not hasattr(known, "more") and isinstance(known, type)
    with pytest.raises(stand_ins.Unknown):
        known.other()


def test_hooks_of_the_session_s_end_have_seen_the_whole(project, start):
    conftest = """
        import pathlib

        names = []

        def pytest_collection_modifyitems(items):
            items.sort(key=lambda it: it.name)
            names.extend(it.name for it in items)

        def pytest_sessionfinish(session):
            pathlib.Path("names").write_text(f"{names} {len(session.items)}")
        """
    root = project({**SUITE, "conftest.py": conftest})
    told = []
    for how in ({}, {"collectors": 2, "slots": 2}):
        driver = start(root, **how)
        run_all(driver, 1)
        driver.finish()
        assert driver.all("files") or not how, driver.all("cannot-shard")
        told.append((root / "names").read_text())
    assert told[0] == told[1]


def test_marks_by_count_are_not_those_of_the_whole(project, start):
    conftest = """
        import itertools

        numbers = itertools.count()

        def pytest_itemcollected(item):
            if next(numbers) % 3 == 0:
                item.add_marker("extra")
        """
    root = project({**SUITE, "conftest.py": conftest})
    whole = start(root, order={"after": 0})
    whole.collect()
    (told,) = (one["order"] for one in whole.all("collected"))
    parts = start(root, order=told, collectors=2)
    parts.collect()
    found = [one["order"] for one in parts.all("collected")]
    assert {(one["code"], one["inputs"]) for one in found} == {(told["code"], told["inputs"])}
    assert all(one["result"] != told["result"] for one in found)
