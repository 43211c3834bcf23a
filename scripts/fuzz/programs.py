"""Seeded random Python programs that end by themselves and do the same each time."""

from __future__ import annotations

import random
import re
import warnings
from dataclasses import dataclass, replace
from functools import cache

from . import templates

TOKEN = re.compile(r"\$[A-Za-z]|~")
BLOCK = re.compile(r"( *)\$([blqFGCAB])")
DEFINITION = re.compile(r" *(async def|def|class) ")
HEADER = re.compile(r"\[(?=[!*\w])([!*\w. -]+)\][ \n]")

# Tokens that need no further depth.
FLAT = set("rknuEfgcaKmydN")

EXCEPTIONS = ("ValueError", "KeyError", "Bad", "ZeroDivisionError", "Exception", "TypeError")
EXCEPTIONS += ("StopIteration", "GeneratorExit", "IndexError")

# What is named as a test is, if tests begin contexts.
TESTS = re.compile(r"\b([fgca]1|h\d|K1)\b")

# What a definition may refer to when it is executed comes before it.
ORDER = "dfgcamyK"
AT_MOST = {"d": 2, "f": 4, "g": 3, "c": 2, "a": 2, "m": 2, "y": 2, "K": 3}

DEEPEST_BLOCK, DEEPEST_EXPRESSION = 4, 3

BODIES = {
    "F": {"function", "returns"},
    "G": {"function", "returns", "generator"},
    "C": {"function", "returns", "async"},
    "A": {"function", "ends", "generator", "async"},
    "B": {"class"},
}


@dataclass(frozen=True)
class Template:
    text: str
    weight: float
    needs: frozenset[str]
    excludes: frozenset[str]
    flat: bool

    def fits(self, tags: frozenset[str]) -> bool:
        return self.needs <= tags and not self.excludes & tags


@dataclass(frozen=True)
class Scope:
    """Where something is written."""

    tags: frozenset[str]
    own: tuple[str, ...]
    """Names to assign to."""
    depth: int = 0
    """Of blocks."""
    plain: bool = False
    """Executed before everything is defined."""

    def tagged(self, *add: str, without: tuple[str, ...] = ()) -> Scope:
        return replace(self, tags=self.tags - {*without} | {*add})


def program(seed: int, features: tuple[str, ...] = ()) -> str:
    """A program that compiles; what does not is left out and another one is made."""
    for attempt in range(1000):
        text = Writer(random.Random(f"{seed}.{attempt}"), features).program()
        if "contexts" in features:
            text = TESTS.sub(r"test_\g<0>", text)
        if compiles(text):
            return text
    raise RuntimeError(f"seed {seed} gives no program")


def compiles(text: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            compile(text, "program", "exec")
        except SyntaxError:
            return False
    return True


def parse(text: str, lines: bool) -> list[Template]:
    parts = text.strip("\n").split("\n" if lines else "\n--\n")
    found = []
    for part in parts:
        header = HEADER.match(part)
        words = header[1].split() if header else []
        body = part[header.end() :] if header else part
        weight = float(next((word[1:] for word in words if word[0] == "*"), 1))
        needs = frozenset(word for word in words if word[0] not in "*!")
        excludes = frozenset(word[1:] for word in words if word[0] == "!")
        flat = {token[-1] for token in TOKEN.findall(body)} <= {*FLAT, "~"}
        found.append(Template(body, weight, needs, excludes, flat))
    return found


def template(text: str) -> Template:
    return Template(text, 1, frozenset(), frozenset(), False)


MAIN = template("def main(a=1, b=2, c=3, d=0):\n    step()\n    $F")

# Templates of one line may have line breaks in them, written as this.
BREAK = "^^"
TABLES = {
    "expression": parse(templates.EXPRESSIONS, True),
    "iterable": parse(templates.ITERABLES, True),
    "manager": parse(templates.MANAGERS, True),
    "pattern": parse(templates.PATTERNS, True),
    "simple": parse(templates.SIMPLE, True),
    "compound": parse(templates.COMPOUND, False),
    "method": parse(templates.METHODS, False),
    **{kind: parse(text, False) for kind, text in templates.DEFINITIONS.items()},
}


@cache
def choices(table: str, tags: frozenset[str], flat: bool) -> tuple[list[Template], list[float]]:
    """What fits, with cumulated weights."""
    fitting = [one for one in TABLES[table] if one.fits(tags) and (one.flat or not flat)]
    total, weights = 0.0, []
    for one in fitting:
        total += one.weight
        weights.append(total)
    return fitting, weights


@cache
def headed(text: str) -> list[tuple[str, str]]:
    """Each line with what it says from the definition that it is in up to the line."""
    lines = text.replace(BREAK, "\n").split("\n")
    found = []
    for index, line in enumerate(lines):
        depth, head = len(line) - len(line.lstrip()), ""
        for start in range(index - 1, -1, -1):
            before = lines[start]
            less = before.strip() and len(before) - len(before.lstrip()) < depth
            if less:
                depth = len(before) - len(before.lstrip())
            if less and DEFINITION.match(before):
                head = "\n".join(lines[start:index]).lstrip()
                break
        found.append((line, head))
    return found


def parameters(head: str) -> tuple[str, ...]:
    """Those of the usual names that a definition has."""
    return tuple(name for name in "abcd" if re.search(rf"\b{name}\b", head)) or ("n",)


class Writer:
    """Fills templates in."""

    def __init__(self, rng: random.Random, features: tuple[str, ...]) -> None:
        self.rng = rng
        self.features = frozenset(features)
        self.breaks = rng.choice((0, 0.05, 0.2, 0.5))
        self.comments = rng.choice((0, 0, 0.1))
        self.left = rng.choice((8, 15, 25, 40))
        """Statements that may still be written."""
        self.numbers = 0
        self.used: dict[str, list[str]] = {kind: [] for kind in ORDER}

    def program(self) -> str:
        self.used["f"].append("f0")
        module = Scope(self.features | {"module"}, ("a", "b", "c", "d", "x"))
        main = self.fill(MAIN, module, 0)
        calls = self.fill(template(self.calls()), module, 0)
        last = self.block(module) if self.rng.random() < 0.5 else []
        defined = self.definitions(module)
        head = self.fill(template(templates.MODULE), module, 0)
        lines = [*head.split("\n"), *defined, *main.split("\n"), *calls.split("\n"), *last]
        return "\n".join(lines).lstrip("\n") + "\n"

    def calls(self) -> str:
        times = self.rng.choice((1, 2, 3, 3, 20))
        return (
            f"for t in range({times}):\n    try:\n        log(main(t, t + 1))\n"
            "    except Exception as error:\n        log(type(error).__name__)\n$b"
        )

    def definitions(self, module: Scope) -> list[str]:
        """All that is referred to; definitions may refer to more."""
        written: dict[str, dict[str, str]] = {kind: {} for kind in ORDER}
        while True:
            todo = [
                (kind, name)
                for kind in ORDER
                for name in self.used[kind]
                if name not in written[kind]
            ]
            if not todo:
                break
            for kind, name in todo:
                written[kind][name] = self.definition(kind, name, module)
        lines = []
        for kind in ORDER:
            for name in sorted(written[kind]):
                lines += ["", "", *written[kind][name].split("\n")]
        return [*lines, "", ""]

    def definition(self, kind: str, name: str, module: Scope) -> str:
        scope = replace(module, plain=True)
        if kind == "K":
            return self.klass(name, scope)
        return self.fill(self.choose(kind, scope), scope, 0).replace("$N", name)

    def klass(self, name: str, scope: Scope) -> str:
        bases = self.rng.choice(("", "", "(Base)", "(metaclass=Meta)", "(Base, flag=1)"))
        lines = [f"class {name}{bases}:", "    def __init__(self, v=1):", "        self.v = v"]
        scope = Scope(self.features | {"class"}, ("s",), 1, True)
        for _ in range(self.rng.choice((1, 2, 4, 6))):
            text = self.fill(self.choose("method", scope), scope, 0)
            lines += ["", *(f"    {line}" if line else "" for line in text.split("\n"))]
        return "\n".join(lines)

    def choose(self, table: str, scope: Scope, flat: bool = False) -> Template:
        fitting, weights = choices(table, scope.tags, flat)
        return self.rng.choices(fitting, cum_weights=weights)[0]

    def block(self, scope: Scope) -> list[str]:
        """Some statements, as lines."""
        lines = []
        scope = replace(scope, depth=scope.depth + 1)
        for _ in range(self.rng.choice((1, 1, 2, 2, 3))):
            nested = self.left > 0 and scope.depth <= DEEPEST_BLOCK
            self.left -= 1
            compound = nested and self.rng.random() < 0.5
            template = self.choose("compound" if compound else "simple", scope)
            lines += self.fill(template, scope, self.depth(scope)).split("\n")
            if self.rng.random() < self.comments:
                lines += self.rng.choice(([""], ["# A comment."], ["", "# One.", ""], ["'text'"]))
        return lines

    def depth(self, scope: Scope) -> int:
        """How deep expressions may be here."""
        if scope.plain:
            return 0
        deepest = DEEPEST_EXPRESSION if self.left > 0 else 1
        return self.rng.randint(0, deepest)

    def fill(self, template: Template, scope: Scope, depth: int) -> str:
        self.numbers += 1
        number = str(self.numbers)
        lines: list[str] = []
        for line, head in headed(template.text):
            here = self.under(head, scope)
            block = BLOCK.fullmatch(line)
            if block:
                inner = self.block(self.inside(block[2], here, head))
                lines += [block[1] + one if one else "" for one in inner]
                continue
            indent = line[: len(line) - len(line.lstrip())]
            first, *rest = self.substitute(line, here, depth, number).split("\n")
            lines += [first, *(indent + one if one else "" for one in rest)]
        return "\n".join(lines)

    def substitute(self, line: str, scope: Scope, depth: int, number: str) -> str:
        return TOKEN.sub(lambda token: self.token(token[0], scope, depth, number), line)

    def under(self, head: str, scope: Scope) -> Scope:
        """What a line is in that stands in a definition of the template's own."""
        if not head:
            return scope
        if head.startswith("class"):
            return Scope(self.features | {"class"}, ("s",), scope.depth)
        kind = {"function", "async"} if head.startswith("async") else {"function"}
        return Scope(self.features | kind, parameters(head), scope.depth)

    def inside(self, kind: str, scope: Scope, head: str) -> Scope:
        """What the block that the token stands for is in."""
        if kind == "b":
            return scope
        if kind == "l":
            return scope.tagged("loop")
        if kind == "q":
            return scope.tagged(without=("loop", "returns", "ends"))
        own = ("s",) if kind == "B" else parameters(head)
        return Scope(self.features | BODIES[kind], own, scope.depth)

    def token(self, token: str, scope: Scope, depth: int, number: str) -> str:
        if token == "~":
            return self.line_break()
        kind = token[1]
        if kind in AT_MOST:
            return self.name(kind)
        return self.TOKENS[kind](self, scope, depth, number)

    def line_break(self) -> str:
        if self.rng.random() >= self.breaks:
            return ""
        return "\n" + " " * self.rng.choice((0, 1, 4, 4, 8))

    def name(self, kind: str) -> str:
        """One that is there, or a new one."""
        used = self.used[kind]
        if not used or (self.left > 0 and len(used) < AT_MOST[kind] and self.rng.random() < 0.3):
            used.append(f"{kind}{len(used)}")
            return used[-1]
        return self.rng.choice(used)

    def expression(self, scope: Scope, depth: int, number: str = "") -> str:
        if scope.plain:
            return self.rng.choice(("a", "b", "1", "2"))
        template = self.choose("expression", scope, depth <= 0 or self.rng.random() < 0.3)
        return self.fill(template, scope, depth - 1)

    def iterable(self, scope: Scope, depth: int, number: str = "") -> str:
        if scope.plain:
            return self.rng.choice(("range(3)", "[a, b]"))
        return self.fill(self.choose("iterable", scope, depth <= 0), scope, depth - 1)

    def hidden(self, scope: Scope, *more: str) -> Scope:
        without = ("generator", "async", "returns", "ends", "loop")
        return scope.tagged("hidden", *more, without=without)

    def line(self, scope: Scope, depth: int, number: str) -> str:
        scope = scope.tagged("inline")
        return self.fill(self.choose("simple", scope), scope, depth)

    def literal(self, scope: Scope, depth: int, number: str) -> str:
        """The text of a block, to be compiled by the program itself."""
        inner = Scope(self.features | {"module"}, ("a", "b"), max(scope.depth, DEEPEST_BLOCK - 1))
        for _ in range(9):
            text = "\n".join(self.block(inner)) + "\n"
            if compiles(text):
                return repr(text)
        return repr("a = 1\n")

    TOKENS = {
        "e": expression,
        "h": lambda self, scope, depth, _: self.expression(self.hidden(scope), depth),
        "i": iterable,
        "j": lambda self, scope, depth, _: self.iterable(self.hidden(scope, "iterable"), depth),
        "r": lambda self, *_: self.rng.choice("aabbcdxy"),
        "n": lambda self, scope, *_: self.rng.choice(scope.own),
        "k": lambda self, *_: str(self.rng.choice((0, 1, 2, 2, 3, 4))),
        "u": lambda self, scope, depth, number: number,
        "E": lambda self, *_: self.rng.choice(EXCEPTIONS),
        "w": lambda self, scope, depth, _: self.fill(
            self.choose("manager", scope, depth <= 0), scope, depth - 1
        ),
        "p": lambda self, scope, depth, _: self.fill(self.choose("pattern", scope), scope, depth),
        "s": line,
        "X": literal,
        "N": lambda *_: "$N",
    }
