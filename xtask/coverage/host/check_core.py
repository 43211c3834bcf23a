"""Whether the native core measures in this interpreter what coverage's C tracer does.

Run as `python check_core.py LIBRARY [COVERAGE_CONFIG]` in the project's folder, where `native.py`
and what it needs lie beside it. Prints one line of JSON: `why`, `null` if coverage as it is
configured there can be measured for, and the arcs of a program that has some of everything are the
same under both; and `rather`, `null` unless another core should measure if nobody insists.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import types

import coverage

# As in a host; there they are loaded in another way.
_package = types.ModuleType("xtask_host")
_package.__path__ = [os.path.dirname(os.path.abspath(__file__))]
sys.modules["xtask_host"] = _package

from xtask_host import compat_coverage, native  # noqa: E402

_PROGRAM = """
import contextlib
import threading


def loops(count):
    total = 0
    for number in range(count): total += number
    while count:
        count -= 1
        if count == 3:
            continue
        total += [one for one in range(count) if one % 2].__len__()
    return total if total else (
        0
    )


def numbers():
    try:
        given = yield 1
        yield given
    except ValueError:
        yield 7
    finally:
        yielded.append("end")


def delegates():
    try:
        got = yield from numbers()
    except KeyError: got = None
    return got


yielded = []


class Held:
    value = 1 if yielded else 2

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return True

    def __del__(self):
        yielded.append("deleted")

    @property
    def failing(self):
        raise LookupError


def raises(depth):
    if depth:
        return raises(depth - 1)
    raise KeyError(depth)


def tries(kind):
    for again in range(3):
        try:
            if again == kind:
                break
            raises(again)
        except KeyError as error:
            if kind == 2:
                continue
            with contextlib.suppress(TypeError):
                raise TypeError from error
        finally:
            if kind == 5:
                return kind
    else:
        kind = None
    match kind:
        case 1 | 2:
            return "few"
        case int() as many if many > 2:
            return many
        case _:
            return None


async def counts(limit):
    for number in range(limit):
        try:
            yield number
        except GeneratorExit:
            raise
        finally:
            yielded.append(number)


class Manager:
    async def __aenter__(self):
        return self

    async def __aexit__(self, *error):
        return False


async def awaits():
    async with Manager():
        return [number async for number in counts(3)]


def groups():
    try:
        raise ExceptionGroup("two", [ValueError(1), TypeError(2)])
    except* ValueError:
        yielded.append("value")
    except* TypeError: yielded.append("type")


def main():
    loops(6)
    for finish in (
        lambda it: it.close(),
        lambda it: it.throw(ValueError()),
        lambda it: it.send(2),
        lambda it: list(it),
        lambda it: None,
    ):
        for make in numbers, delegates:
            held = make()
            next(held)
            with contextlib.suppress(StopIteration):
                finish(held)
            del held
    numbers().close()
    for kind in range(6):
        tries(kind)
    with Held() as held:
        held.failing
    del held
    try:
        awaits().send(None)
    except StopIteration:
        pass
    groups()
    thread = threading.Thread(target=loops, args=(2,))
    thread.start()
    thread.join()
    sorted([3, 1], key=lambda one: -one)
    exec(compile("a = 1\\nfor b in range(2):\\n    a += b\\n", __file__, "exec"), {})


main()
"""


MARK = "\x01xtask-core "


def main(library: str, rcfile: str = "") -> None:
    cannot, rather = configured(rcfile)
    print("\n" + MARK + json.dumps({"why": cannot or why(library), "rather": rather}))


def configured(rcfile: str) -> tuple[str | None, str | None]:
    """What of the project's configuration of coverage keeps the core from measuring, or might."""
    # As `coverage run` has it: plugins may live in the project's folder.
    sys.path.insert(0, os.getcwd())
    try:
        cov = coverage.Coverage(config_file=rcfile or True, data_file=None)
        compat_coverage.initialize(cov)
        return native.why_not(cov), native.why_rather_not(cov)
    except Exception as error:
        return f"coverage cannot be configured: {error}", None
    finally:
        del sys.path[0]


def why(library: str) -> str | None:
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(os.path.realpath(folder), "program.py")
        with open(program, "w", encoding="utf-8") as file:
            file.write(_PROGRAM)
        expected, _ = arcs(program, None)
        measured, refused = arcs(program, library)
    if refused is not None:
        return refused
    if not expected:
        return "coverage's own core measures nothing in this interpreter"
    if measured != expected:
        arc = min(measured ^ expected)
        return f"it measures something else in this interpreter, the arc {arc} for one"
    return None


def arcs(program: str, library: str | None) -> tuple[set[tuple[int, int]], str | None]:
    """What the program executes, and why another core has measured than was wanted."""
    os.environ["COVERAGE_CORE"] = "ctrace"
    cov = coverage.Coverage(data_file=None, config_file=False, branch=True, include=[program])
    if library is not None:
        native.attach(cov, library, insist=True)
    with open(program, encoding="utf-8") as file:
        code = compile(file.read(), program, "exec")
    cov.start()
    refused = getattr(cov, "xtask_core", None)
    try:
        exec(code, {"__name__": "program", "__file__": program})
    finally:
        cov.stop()
    return set(cov.get_data().arcs(program) or []), refused


main(*sys.argv[1:3])
