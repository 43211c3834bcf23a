"""Stand-ins: the tests of other collectors, as far as a hook that orders tests looks at them.

Hooks such as `pytest_collection_modifyitems` are to see the whole suite, and a collector has
a part of it. So each tells what it knows of its tests, and has nodes of the same classes in
place of all others. What was told of them is as in their own process. What could not be
told, an object of the project, say, is `Opaque`: whoever looks at it ends the attempt, and
one process collects all. So a hook sees what it would see there, or nothing at all.
"""

from __future__ import annotations

import contextlib
import copyreg
import gc
import pickle
import sys
import types
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

_get = object.__getattribute__
_MOST = 200  # elements of a value, and of those in it
_ATOMS = {str, int, float, complex, bool, bytes, type(None), type(Path())}
_DUNDERS = ("__name__", "__qualname__", "__module__", "__doc__", "__file__")
_CODE = ("co_name", "co_filename", "co_firstlineno", "co_flags", "co_argcount", "co_varnames")
# Of a node, besides what is in its `__dict__`, and what has a way of its own.
_SLOTS = ("name", "path", "_nodeid", "_id")
_OWN_WAY = {"own_markers", "keywords", "callspec", "stash", "_obj"}
_KINDS = {
    "module": types.ModuleType,
    "class": type,
    "function": types.FunctionType,
    "method": types.MethodType,
}
# A method has those of its function, too.
_ATTRIBUTES = {name: frozenset(dir(kind)) for name, kind in _KINDS.items()}
_ATTRIBUTES["method"] |= _ATTRIBUTES["function"]

_gc_disable, _gc_enable, _gc_is_enabled = gc.disable, gc.enable, gc.isenabled

# What somebody has looked at and could not see; a hook may have swallowed the exception.
missed: list[str] = []


class Unknown(BaseException):
    """A hook looks at what only the process knows that has imported the test."""


def _refuse(self: Any, *_: Any, **__: Any) -> Any:
    what = _get(self, "_what")
    missed.append(what)
    raise Unknown(what)


class Opaque:
    """A value that is not known here: all one can ask it is whether it is None."""

    __slots__ = ("_what", "_known", "_names")

    def __init__(
        self, what: str, known: dict[str, Any] | None = None, names: Iterable[str] | None = None
    ) -> None:
        object.__setattr__(self, "_what", what)
        object.__setattr__(self, "_known", known or {})
        # The attributes that there are; None: any may be.
        object.__setattr__(self, "_names", None if names is None else frozenset(names))

    def __getattribute__(self, name: str) -> Any:
        known = _get(self, "_known")
        if name in known:
            return known[name]
        names = _get(self, "_names")
        if names is None or name in names:
            _refuse(self)
        raise AttributeError(f"{_get(self, '_what')} has no attribute {name!r}")

    __setattr__ = __delattr__ = __call__ = __bool__ = __eq__ = __hash__ = _refuse
    __repr__ = __str__ = __format__ = __iter__ = __len__ = __contains__ = _refuse
    __getitem__ = __setitem__ = __lt__ = __le__ = __gt__ = __ge__ = __ne__ = _refuse
    __add__ = __radd__ = __or__ = __and__ = __mod__ = __index__ = __int__ = __float__ = _refuse
    __dir__ = __enter__ = __exit__ = __instancecheck__ = __subclasscheck__ = __fspath__ = _refuse


class Known(Opaque):
    """In place of a module, class or function: some of its attributes are known."""

    __slots__ = ()
    __hash__ = object.__hash__
    __eq__ = object.__eq__
    __ne__ = object.__ne__

    def __bool__(self) -> bool:
        return True


@contextlib.contextmanager
def _without_gc() -> Iterator[None]:
    """Many objects are made, and all stay: looking for garbage would take most of the time."""
    enabled = _gc_is_enabled()
    _gc_disable()
    try:
        yield
    finally:
        if enabled:
            _gc_enable()


# In the collector that has the tests


def _is_plain(value: Any, left: list[int] | None = None) -> bool:
    """Whether a value is the same wherever it is told."""
    kind = type(value)
    if kind in _ATOMS or kind.__module__ in ("_pytest.scope", "_pytest.nodeid"):
        return True
    if kind not in (tuple, list, set, frozenset, dict):
        return False
    left = left or [_MOST]
    left[0] -= len(value)
    if left[0] < 0:
        return False
    parts = [*value, *value.values()] if kind is dict else value
    return all(_is_plain(part, left) for part in parts)


class _Telling:
    """What is told of nodes: each class, object and marker once."""

    def __init__(self) -> None:
        self.classes: list[tuple[str, str]] = []
        self.objects: list[tuple[str, dict[str, Any], list[str], int | None]] = []
        self.marks: list[tuple[str, Any, Any]] = []
        self.nodes: list[dict[str, Any]] = []
        self._seen: dict[tuple[str, int], int] = {}
        self._kept: list[Any] = []  # as long as their addresses are names

    def _once(self, kind: str, value: Any, tell: Any, told: list[Any]) -> int:
        key = kind, id(value)
        if key not in self._seen:
            self._kept.append(value)
            entry = tell(value)
            self._seen[key] = len(told)
            told.append(entry)
        return self._seen[key]

    def class_of(self, value: Any) -> int:
        return self._once("class", type(value), _name_of_class, self.classes)

    def mark(self, mark: Any) -> int:
        def tell(mark: Any) -> tuple[str, Any, Any]:
            return mark.name, [_told(arg) for arg in mark.args], _told_each(mark.kwargs)

        return self._once("mark", mark, tell, self.marks)

    def object(self, value: Any, home: str) -> int:
        function = value.__func__ if isinstance(value, types.MethodType) else value
        inner = self.object(function, home) if function is not value else None
        key = "method" if inner is not None else "object"
        # A bound method is made anew each time: its function tells it from others.
        at = self._seen.get((key, id(function)))
        if at is None:
            self._kept.append(function)
            at = self._seen[key, id(function)] = len(self.objects)
            self.objects.append((*_tell_object(function, home), inner))
        return at

    def node(self, node: Any, parent: Any) -> int:
        known, unknown = {}, []
        for name, value in vars(node).items():
            if name in _OWN_WAY:
                continue
            if _is_plain(value):
                known[name] = value
            else:
                unknown.append(name)
        told = {
            "class": self.class_of(node),
            "parent": parent,
            "slots": {name: getattr(node, name) for name in _SLOTS if hasattr(node, name)},
            "known": known,
            "unknown": unknown,
            "marks": [self.mark(mark) for mark in node.own_markers],
            "keywords": self._keywords(node),
            "empty": not len(node.stash),
        }
        if hasattr(node, "_obj"):
            told["object"] = self.object(node._obj, _home_of(node))
        if "callspec" in vars(node):
            told["callspec"] = self.class_of(node.callspec), _told_each(vars(node.callspec))
        self.nodes.append(told)
        return len(self.nodes) - 1

    def _keywords(self, node: Any) -> dict[str, Any]:
        marks = set(map(id, node.own_markers))
        told = {}
        for name, value in node.keywords._markers.items():
            told[name] = ("mark", self.mark(value)) if id(value) in marks else _told(value)
        return told


def _told(value: Any) -> tuple[Any, ...]:
    return ("is", value) if _is_plain(value) else ("unknown",)


def _told_each(values: Any) -> dict[Any, tuple[Any, ...]]:
    """One level deeper for what hooks look into: `callspec.params["name"]`."""
    told = {}
    for name, value in values.items():
        deeper = type(value) is dict and not _is_plain(value) and all(map(_is_plain, value))
        told[name] = ("each", _told_each(value)) if deeper else _told(value)
    return told


def _name_of_class(kind: type) -> tuple[str, str]:
    if _class_named(kind.__module__, kind.__qualname__) is not kind:
        raise Unknown(f"the class `{kind.__qualname__}`")
    return kind.__module__, kind.__qualname__


def _class_named(module: str, name: str) -> Any:
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def _home_of(node: Any) -> str:
    """The name of the module that a node is collected from."""
    module = node if isinstance(node, pytest.Module) else node.getparent(pytest.Module)
    return getattr(getattr(module, "_obj", None), "__name__", "")


def _tell_object(value: Any, home: str) -> tuple[str, dict[str, Any], list[str]]:
    """Its kind, and its attributes: the plain ones, and the names of all."""
    if isinstance(value, types.ModuleType):
        own, kind = vars(value), "module"
        has_any = "__getattr__" in own
    elif isinstance(value, type):
        own, kind = {}, "class"
        for base in reversed(value.__mro__):
            own.update(vars(base))
        has_any = type(value) is not type
    elif type(value) is types.FunctionType:
        own, kind, has_any = vars(value), "function", False
    else:
        return "any", {}, []
    if kind != "module" and value.__module__ != home:
        # It may be met in several files, and is one object there: here it would be several.
        return "any", {}, []
    known = {name: it for name, it in own.items() if _is_plain(it)}
    for name in _DUNDERS:
        if _is_plain(it := getattr(value, name, ())) and it != ():
            known[name] = it
    if kind == "function":
        known["__code__"] = {name: getattr(value.__code__, name) for name in _CODE}
        known["__dict__"] = {name: _told(it) for name, it in own.items()}
    return kind, known, ["*"] if has_any else list(own)


@_without_gc()
def tell(
    items: Iterable[tuple[Any, tuple[int, int]]], files: dict[int, list[Any]], path: str
) -> None:
    """Write to a file what is known of the tests; each comes with its place.

    `files` are the nodes of each test file, by which others know them. Raises `Unknown` where
    no other process could have such a node.
    """
    telling, tests = _Telling(), []
    numbers: dict[Any, int] = {}
    places = {node: (file, at) for file, nodes in files.items() for at, node in enumerate(nodes)}

    def number(node: Any) -> int:
        if node not in numbers:
            place = places.get(node)
            if place is None and (node.parent is None or isinstance(node, pytest.Directory)):
                raise Unknown(f"`{node.nodeid}`, which no test file holds")
            parent = ("file", *place) if place is not None else ("node", number(node.parent))
            numbers[node] = telling.node(node, parent)
        return numbers[node]

    for item, place in items:
        if not isinstance(item, pytest.Item):
            raise Unknown("tests of another kind")
        tests.append((place, number(item)))
    told = telling.classes, telling.objects, telling.marks, telling.nodes, tests
    with open(path, "wb") as file:
        _Pickler(file, pickle.HIGHEST_PROTOCOL).dump(told)


class _Pickler(pickle.Pickler):
    # Whatever the project has registered for its own copies.
    dispatch_table = copyreg.dispatch_table.copy()


# In the others


class _Standing:
    """Makes the nodes that were told of."""

    def __init__(self, told: Any, files: dict[int, list[Any]], own: set[int]) -> None:
        classes, self._objects, self._marks, self._nodes, self.tests = told
        self._classes = [_class_named(*name) for name in classes]
        for kind, name in zip(self._classes, classes):
            if kind is None:
                raise Unknown(f"the class `{name[1]}`")
        self._files = files
        self._own = own  # files that this process has imported as well
        self._made: dict[tuple[str, int], Any] = {}
        self._opaques: dict[str, Opaque] = {}

    def node(self, number: int) -> Any:
        made = self._made.get(("node", number))
        if made is None:
            made = self._made["node", number] = self._make(self._nodes[number])
        return made

    def _make(self, told: dict[str, Any]) -> Any:
        kind, *place = told["parent"]
        if kind == "file":
            there = self._files[place[0]][place[1]]
            # What is asked for by its id has been imported by all.
            if place[0] in self._own or not isinstance(there, pytest.File):
                return there
            parent = there.parent
        else:
            parent = self.node(place[0])
        node: Any = object.__new__(self._classes[told["class"]])
        node.parent, node.config, node.session = parent, parent.config, parent.session
        for name, value in told["slots"].items():
            setattr(node, name, value)
        vars(node).update(told["known"])
        vars(node).update((name, self._opaque(name)) for name in told["unknown"])
        node.own_markers = [self._mark(mark) for mark in told["marks"]]
        node.keywords = self._keywords(node, told["keywords"])
        node.stash = node._store = pytest.Stash() if told["empty"] else Opaque("`stash` of a test")
        if "object" in told:
            node._obj = self._object(told["object"])
        if "callspec" in told:
            node.callspec = self._callspec(*told["callspec"])
        return node

    def _opaque(self, name: str) -> Opaque:
        made = self._opaques.get(name)
        if made is None:
            made = self._opaques[name] = Opaque(f"`{name}` of a test")
        return made

    def _keywords(self, node: Any, told: dict[str, Any]) -> Any:
        keywords = type(node.parent.keywords)(node)
        keywords._markers.clear()
        for name, value in told.items():
            is_mark = value[0] == "mark"
            keywords._markers[name] = (
                self._mark(value[1]) if is_mark else _value(value, f"the keyword `{name}`")
            )
        return keywords

    def _mark(self, number: int) -> Any:
        made = self._made.get(("mark", number))
        if made is None:
            name, args, kwargs = self._marks[number]
            what = f"an argument of `{name}`"
            args = tuple(_value(arg, what) for arg in args)
            made = pytest.Mark(name, args, _values(kwargs, what), _ispytest=True)
            self._made["mark", number] = made
        return made

    def _callspec(self, kind: int, told: dict[str, Any]) -> Any:
        made = object.__new__(self._classes[kind])
        for name, value in _values(told, "a parameter").items():
            object.__setattr__(made, name, value)
        return made

    def _object(self, number: int) -> Any:
        made = self._made.get(("object", number))
        if made is None:
            made = self._made["object", number] = self._make_object(*self._objects[number])
        return made

    def _make_object(
        self, kind: str, known: dict[str, Any], names: list[str], inner: int | None
    ) -> Any:
        if kind == "any":
            return Opaque("what a test is made from")
        what = f"the {kind} `{known.get('__name__')}`"
        known = dict(known)
        if kind == "function":
            code = known["__code__"]
            code = {**code, "__class__": types.CodeType}
            known["__code__"] = Known(what, code, dir(types.CodeType))
            known["__dict__"] = _values(known["__dict__"], what)
        if inner is not None:
            kind, known["__func__"] = "method", self._object(inner)
        if "*" in names:
            return Known(what, known)
        known["__class__"] = _KINDS[kind]
        return Known(what, known, _ATTRIBUTES[kind].union(names))


def _value(told: tuple[Any, ...], what: str) -> Any:
    if told[0] == "each":
        return _values(told[1], what)
    return told[1] if told[0] == "is" else Opaque(what)


def _values(told: dict[Any, Any], what: str) -> dict[Any, Any]:
    return {name: _value(value, what) for name, value in told.items()}


@_without_gc()
def stand_in(
    path: str, files: dict[int, list[Any]], own: set[int]
) -> list[tuple[tuple[int, int], Any]]:
    """The tests that another process has told of in a file, with their places."""
    with open(path, "rb") as file:
        standing = _Standing(pickle.load(file), files, own)
    return [(tuple(place), standing.node(number)) for place, number in standing.tests]
