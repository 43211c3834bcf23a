"""Makes a program smaller that shows a difference, as long as it still shows it."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

from .programs import compiles

# Fields of nodes that hold blocks.
BLOCKS = ("body", "orelse", "finalbody")

Edit = tuple[tuple[int, int], tuple[int, int], str]
"""From where (line from 0 and column) to where, and what is put there."""


def shrink(text: str, first: Callable[[list[str]], int | None], at_once: int = 16) -> str:
    """`first` says which of some texts is the first to show the difference."""
    at, changed = 0, False
    while True:
        lines = text.split("\n")
        left = list(edits(ast.parse(text), lines))[at:]
        if not left:
            if not changed:
                return text
            at, changed = 0, False
            continue
        # Big pieces come first. What is done with is not tried again before all were.
        found = None
        for start in range(0, len(left), at_once):
            tried = [apply(lines, edit) for edit in left[start : start + at_once]]
            good = [index for index, one in enumerate(tried) if one != text and compiles(one)]
            found = first([tried[index] for index in good]) if good else None
            if found is not None:
                text, changed = tried[good[found]], True
                at += start + good[found]
                break
        if found is None:
            at += len(left)


def apply(lines: list[str], edit: Edit) -> str:
    (top, left), (bottom, right), new = edit
    if new == "" and not lines[top][:left].strip() and not lines[bottom][right:].strip():
        return "\n".join(lines[:top] + lines[bottom + 1 :])
    middle = lines[top][:left] + new + lines[bottom][right:]
    return "\n".join([*lines[:top], *middle.split("\n"), *lines[bottom + 1 :]])


def edits(tree: ast.AST, lines: list[str]) -> Iterator[Edit]:
    nodes = list(ast.walk(tree))
    yield from chunks(nodes)
    for node in nodes:
        yield from without_clauses(node, lines)
        if isinstance(node, ast.stmt):
            yield from unwrapped(node, lines)
    for index, line in enumerate(lines):
        if not line.strip() or line.lstrip().startswith("#"):
            yield (index, 0), (index, len(line)), ""
    for node in nodes:
        if isinstance(node, ast.expr):
            yield from simpler(node, lines)


def blocks(node: ast.AST) -> Iterator[list[ast.stmt]]:
    for name in BLOCKS:
        block = getattr(node, name, None)
        if isinstance(block, list) and block:
            yield block


def chunks(nodes: list[ast.AST]) -> Iterator[Edit]:
    """Statements in a row, as many as possible first."""
    for node in nodes:
        for block in blocks(node):
            size = len(block) // 2
            while size > 1:
                for start in range(0, len(block), size):
                    part = block[start : start + size]
                    if len(part) < len(block):
                        yield begin(part[0]), end(part[-1]), ""
                size //= 2
    for node in nodes:
        for block in blocks(node):
            for statement in reversed(block):
                alone = len(block) == 1
                if alone and isinstance(statement, ast.Pass):
                    continue
                yield begin(statement), end(statement), "pass" if alone else ""
                if not alone:
                    yield begin(statement), end(statement), "pass"


def begin(node: ast.AST) -> tuple[int, int]:
    decorators = getattr(node, "decorator_list", None)
    if decorators:
        return decorators[0].lineno - 1, max(decorators[0].col_offset - 1, 0)
    return node.lineno - 1, node.col_offset


def end(node: ast.AST) -> tuple[int, int]:
    return node.end_lineno - 1, node.end_col_offset


def unwrapped(node: ast.stmt, lines: list[str]) -> Iterator[Edit]:
    """A block instead of the statement that it is in."""
    clauses = (*getattr(node, "handlers", ()), *getattr(node, "cases", ()))
    for block in (*blocks(node), *(clause.body for clause in clauses)):
        top, bottom = begin(block[0])[0], end(block[-1])[0]
        if top == node.lineno - 1:
            continue
        less = block[0].col_offset - node.col_offset
        moved = [
            line[less:] if not line[:less].strip() else line for line in lines[top : bottom + 1]
        ]
        yield begin(node), end(node), "\n".join(moved).lstrip()


def without_clauses(node: ast.AST, lines: list[str]) -> Iterator[Edit]:
    """Without `else`, `finally`, a handler, a case, a decorator."""
    for clause in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
        top = clause.lineno if hasattr(clause, "lineno") else clause.pattern.lineno
        yield (top - 1, 0), end(clause.body[-1]), ""
    for name in ("orelse", "finalbody"):
        block = getattr(node, name, None)
        if not isinstance(block, list) or not block:
            continue
        top = begin(block[0])[0]
        while top > 0 and not lines[top].lstrip().startswith(("else", "elif", "finally")):
            top -= 1
        yield (top, 0), end(block[-1]), ""
    for decorator in getattr(node, "decorator_list", ()):
        yield (decorator.lineno - 1, 0), end(decorator), ""


def simpler(node: ast.expr, lines: list[str]) -> Iterator[Edit]:
    """A constant, or a part of the expression, instead of all of it."""
    if isinstance(node, (ast.Name, ast.Constant)):
        return
    for new in ("1", "a"):
        yield begin(node), end(node), new
    for part in ast.iter_child_nodes(node):
        if isinstance(part, ast.expr):
            yield begin(node), end(node), between(lines, begin(part), end(part))
    for name in ("args", "elts", "keywords", "generators", "values"):
        parts = getattr(node, name, None)
        for part in parts if isinstance(parts, list) else ():
            if hasattr(part, "lineno"):
                yield begin(part), after_comma(lines, *end(part)), ""


def between(lines: list[str], start: tuple[int, int], stop: tuple[int, int]) -> str:
    (top, left), (bottom, right) = start, stop
    if top == bottom:
        return lines[top][left:right]
    return "\n".join([lines[top][left:], *lines[top + 1 : bottom], lines[bottom][:right]])


def after_comma(lines: list[str], line: int, column: int) -> tuple[int, int]:
    rest = lines[line][column:]
    if rest.startswith(","):
        column += len(rest) - len(rest[1:].lstrip())
    return line, column
