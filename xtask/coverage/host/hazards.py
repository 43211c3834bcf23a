"""Hazards: what forks of the host would break or share, looked for before the first of them.

A fork has one thread; descriptors and shared memory are the same in all forks, and child
processes nobody's but the host's. Tests that were collected once and run side by side would
get into each other's way, or wait for ever. What is known to survive forks passes.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

from xtask_host import worker_names

_getpid = os.getpid
_listdir, _readlink, _dup, _close, _sleep = os.listdir, os.readlink, os.dup, os.close, time.sleep
_open = open

# Patterns are compiled where one is needed: most suites have nothing that any is for.

# Threads that end and come back around a fork by themselves, by name.
_SURVIVORS = r"jemalloc_bg_thd"
# Libraries that do so with all their threads, which have no name of their own.
_SURVIVING_LIBRARIES = r"lib(scipy_)?openblas(?!o)|libiomp5|libmkl_"
_SETTINGS_OF_THREADS = ("OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS", "OMP_NUM_THREADS")
# Of these it is known that they keep threads: worth naming where a thread has no name.
_WITH_THREADS = (
    r"arrow|blis|duckdb|faiss|gomp|grpc|jax|lightgbm|libomp|onnx|polars|ray|rocksdb|tbb"
    r"|tensorflow|tokio|torch|xgboost|xla|zmq"
)
# Not those of Python itself.
_LIBRARY = r"(?<!/lib-dynload)/[^/]*\.so[^/]*$"
_ANONYMOUS = ("anon_inode", "inotify")
_SHARED_MEMORY = r"/dev/shm/(?!sem\.)|/memfd:|/dev/zero|.*/pym-"
_HARMLESS_DEVICES = r"/dev/(null|zero|full|u?random|tty|ptmx|pts/|console)"
_MOST_NAMES = 3


class Snapshot:
    """Descriptors and child processes at one moment; what comes later is the project's."""

    def __init__(self) -> None:
        self.descriptors = descriptors()
        self.children = set(children())
        self._targets = set(self.descriptors.values())

    def knows(self, fd: int, target: str) -> bool:
        # A copy of a pipe or socket that was there is nothing new; other things have no name.
        if target.startswith(_ANONYMOUS):
            return self.descriptors.get(fd) == target
        return target in self._targets


class Findings:
    """What was found: hazards, each a clause, and what was let pass."""

    def __init__(self) -> None:
        self.hazards: list[str] = []
        self.harmless: list[str] = []
        self.only_threads = True

    def hazard(self, text: str, thread: bool = False) -> None:
        self.hazards.append(text)
        self.only_threads = self.only_threads and thread


def look(before: Snapshot) -> Findings:
    """What rules out forks now. Threads of the collection that are about to end may do so."""
    for _ in range(10):
        found = _look_once(before)
        if not found.hazards or not found.only_threads:
            break
        _sleep(0.02)
    return found


def _look_once(before: Snapshot) -> Findings:
    found = Findings()
    try:
        _look_at_all(found, before)
    except Exception as error:
        # Who knows what has been replaced; then nobody knows what forks would do either.
        found.hazard(f"what is there cannot be looked at ({type(error).__name__}: {error})")
    return found


def _look_at_all(found: Findings, before: Snapshot) -> None:
    maps = mappings()
    for text in patches():
        found.hazard(text)
    if worker_names.asked:
        places = some([f"`{place}`" for place in worker_names.asked])
        found.hazard(f"the name of a worker is asked for while the project is imported ({places})")
    if worker_names.read:
        places = some(worker_names.read)
        found.hazard(
            f"what each worker has of its own is read while the project is imported: {places}"
        )
    _look_at_threads(found, maps)
    owners = Owners()
    _look_at_descriptors(found, before, owners)
    _look_at_children(found, before, owners)
    for path in sorted({path for flags, path in maps if is_shared_memory(flags, path)}):
        found.hazard(f"memory is shared (`{path}`)")


# Threads


def _look_at_threads(found: Findings, maps: list[tuple[str, str]]) -> None:
    names = thread_names()
    known = threading.enumerate()
    main = threading.main_thread()
    pythons = [one.name for one in known if one is not main]
    if pythons:
        text = f"{len(pythons) + 1} threads are alive after collection"
        found.hazard(f"{text} ({some(pythons)})", thread=True)
    # The main thread may be another library's stand-in (eventlet's), without a number.
    ids = {getattr(one, "native_id", None) for one in known} | {_getpid()}
    native = [name for id, name in sorted(names.items()) if id not in ids]
    if not native:
        return
    own = names.get(_getpid(), "")
    hazard, harmless = judge_native(native, own, {path for _, path in maps}, threads_each())
    if hazard:
        found.hazard(hazard, thread=True)
    found.harmless += harmless


def judge_native(
    native: list[str], own: str, files: set[str], each: int
) -> tuple[str | None, list[str]]:
    """Native threads that may not survive a fork, in words, and those that do.

    A thread has the name of the process until its library gives it one. Such are taken for
    those of libraries that are known to survive forks, which have `each` at the most.
    """
    harmless = sorted({name for name in native if re.match(_SURVIVORS, name)})
    named = [name for name in native if name != own and not re.match(_SURVIVORS, name)]
    unnamed = sum(name == own for name in native)
    survivors = {file for file in files if re.match(_SURVIVING_LIBRARIES, os.path.basename(file))}
    if unnamed and unnamed <= each * len(survivors):
        libraries = some(sorted(map(os.path.basename, survivors)))
        harmless.append(f"{unnamed} {'thread' if unnamed == 1 else 'threads'} of {libraries}")
        unnamed = 0
    count = len(named) + unnamed
    if not count:
        return None, harmless
    libraries = _libraries_of(named, files)
    of = f" of {some(libraries)}" if libraries else ""
    names = f" ({some(sorted(set(named)))})" if named else ""
    verb = "thread is" if count == 1 else "threads are"
    return f"{count} native {verb} alive{of}{names}", harmless


def _libraries_of(names: list[str], files: set[str]) -> list[str]:
    """Whose threads these may be: libraries by whose name they go, else those that have some."""
    packages = {package(file) for file in files if re.search(_LIBRARY, file)}
    words = {match[0].lower() for name in names if (match := re.match(r"[A-Za-z]{4,}", name))}
    named = [one for one in packages if one.lower().lstrip("_").startswith(tuple(words))]
    return sorted(named or [one for one in packages if re.search(_WITH_THREADS, one.lower())])


def package(file: str) -> str:
    """`numpy` for what lies in `…/site-packages/numpy…`, else the name of the library."""
    inside = re.search(r"/(?:site|dist)-packages/([^/.]+)", file)
    return inside[1] if inside else os.path.basename(file).split(".")[0]


def threads_each() -> int:
    """How many threads a library for linear algebra starts beside the main one, at the most."""
    try:
        cores = len(os.sched_getaffinity(0))
    except (AttributeError, OSError):
        cores = os.cpu_count() or 1
    for name in _SETTINGS_OF_THREADS:
        value = os.environ.get(name, "")
        if value.isdecimal() and int(value) > 0:
            cores = min(cores, int(value))
            break
    return cores - 1


def thread_names() -> dict[int, str]:
    """The names of all threads of this process, by the kernel's numbers."""
    names = {}
    with contextlib.suppress(OSError):
        for id in _listdir("/proc/self/task"):
            with contextlib.suppress(OSError), _open(f"/proc/self/task/{id}/comm") as file:
                names[int(id)] = file.read().strip()
    return names


# Patches


def patches() -> list[str]:
    """Libraries that have put their own in place of `os.fork`, `select` and the like."""
    found = []
    monkey = sys.modules.get("gevent.monkey")
    anything = getattr(monkey, "is_anything_patched", lambda: getattr(monkey, "saved", None))
    if monkey is not None and anything():
        found.append("gevent has patched the standard library")
    if getattr(sys.modules.get("eventlet.patcher"), "already_patched", None):
        found.append("eventlet has patched the standard library")
    return found


# Descriptors


def _look_at_descriptors(found: Findings, before: Snapshot, owners: Owners) -> None:
    trackers = set(_trackers())
    kinds: dict[str, int] = {}
    for fd, target in sorted(descriptors().items()):
        if before.knows(fd, target) or fd in trackers:
            continue
        kind = kind_of(fd, target)
        if kind is None:
            continue
        text = owners.of_descriptor(fd) or kind
        kinds[text] = kinds.get(text, 0) + (text == kind)
    for text, count in kinds.items():
        found.hazard(text if count < 2 else f"{text}, {count} times")


def kind_of(fd: int, target: str) -> str | None:
    """What is shared by all who have the descriptor, as a clause; None for what may be."""
    if target.startswith("socket:"):
        return _socket(fd)
    if target.startswith("pipe:"):
        return "a pipe is open"
    if target.startswith(_ANONYMOUS):
        name = target.partition(":")[2].strip("[]") or target
        return f"an `{name}` descriptor is open"
    if target.startswith("/dev/") and not target.startswith("/dev/shm/"):
        return None if re.match(_HARMLESS_DEVICES, target) else f"the device `{target}` is open"
    return None


def _socket(fd: int) -> str | None:
    import _socket as sockets

    with contextlib.suppress(OSError):
        one = sockets.socket(fileno=_dup(fd))
        try:
            if one.family == sockets.AF_UNIX and one.type == sockets.SOCK_DGRAM:
                return None  # as for a log: whole messages, whoever sends them
            return f"a socket is open{_address(one, sockets)}"
        finally:
            one.close()
    return "a socket is open"


def _address(one: Any, sockets: Any) -> str:
    def words(address: Any) -> str:
        host, port = address[:2] if isinstance(address, tuple) else (address, None)
        host = os.fsdecode(host) if isinstance(host, bytes) else str(host)
        return host if port is None else f"{host}:{port}"

    with contextlib.suppress(OSError):
        if one.getsockopt(sockets.SOL_SOCKET, sockets.SO_ACCEPTCONN):
            return f" (listens on {words(one.getsockname())})"
    with contextlib.suppress(OSError, ValueError):
        peer = words(one.getpeername())
        return f" (connected to {peer})" if peer else " (one of a pair)"
    with contextlib.suppress(OSError, ValueError):
        return f" (bound to {words(one.getsockname())})"
    return ""


def descriptors() -> dict[int, str]:
    """What the open descriptors lead to."""
    found = {}
    with contextlib.suppress(OSError):
        for name in _listdir("/proc/self/fd"):
            with contextlib.suppress(OSError):
                found[int(name)] = _readlink(f"/proc/self/fd/{name}")
    return found


def _trackers() -> Iterator[int]:
    """The pipes to processes that note resources for any number of others."""
    for name, module in sys.modules.copy().items():
        if name.endswith("resource_tracker"):
            fd = getattr(getattr(module, "_resource_tracker", None), "_fd", None)
            if isinstance(fd, int):
                yield fd


# Children


def _look_at_children(found: Findings, before: Snapshot, owners: Owners) -> None:
    for pid in children():
        command = _command(pid)
        if pid in before.children or not command or "resource_tracker" in command:
            continue
        owner = owners.of_process(pid)
        found.hazard(f"a child process runs (`{command}`{owner})")


def children() -> list[int]:
    """The child processes, ended ones too."""
    found: list[int] = []
    try:
        for id in _listdir("/proc/self/task"):
            with _open(f"/proc/self/task/{id}/children") as file:
                found += map(int, file.read().split())
    except OSError:
        return list(_children_among_all())
    return found


def _children_among_all() -> Iterator[int]:
    """Where the kernel has no list of them."""
    with contextlib.suppress(OSError):
        for name in filter(str.isdecimal, _listdir("/proc")):
            with contextlib.suppress(OSError, ValueError), _open(f"/proc/{name}/stat") as file:
                if int(file.read().rpartition(")")[2].split()[1]) == _getpid():
                    yield int(name)


def _command(pid: int) -> str:
    """What runs there; empty for one that has ended."""
    with contextlib.suppress(OSError), _open(f"/proc/{pid}/cmdline", errors="replace") as file:
        words = file.read().rstrip("\0").split("\0")
        words[0] = os.path.basename(words[0])
        text = " ".join(" ".join(words).split())
        return text if len(text) <= 60 else f"{text[:57]}..."
    return ""


# Memory


def mappings() -> list[tuple[str, str]]:
    """The files in the memory of this process, with the flags of each mapping."""
    found = []
    with contextlib.suppress(OSError), _open("/proc/self/maps", errors="replace") as file:
        for line in file:
            fields = line.rstrip("\n").split(maxsplit=5)
            if len(fields) == 6 and fields[5][0] == "/":
                found.append((fields[1], fields[5]))
    return found


def is_shared_memory(flags: str, path: str) -> bool:
    """Memory that all forks write to, but not the locks of `multiprocessing`."""
    return flags[3:4] == "s" and "w" in flags and bool(re.match(_SHARED_MEMORY, path))


# Where it comes from


class Owners:
    """Which global of which module of the project holds what was found. Made when first asked."""

    def __init__(self) -> None:
        self._descriptors: dict[int, str] | None = None
        self._processes: dict[int, str] = {}

    def of_descriptor(self, fd: int) -> str | None:
        self._find()
        return (self._descriptors or {}).get(fd)

    def of_process(self, pid: int) -> str:
        self._find()
        return self._processes.get(pid, "")

    def _find(self) -> None:
        if self._descriptors is None:
            self._descriptors = {}
            for where, value in _globals_of_the_project():
                with contextlib.suppress(Exception):
                    self._take(where, value)

    def _take(self, where: str, value: Any) -> None:
        kind = type(value)
        if _is_loop(kind):
            for name in ("_selector", "_ssock", "_csock"):
                part = getattr(value, name, None)
                if part is not None:
                    text = f"an event loop is open ({where})"
                    self._descriptors.setdefault(part.fileno(), text)
        elif kind.__name__ == "Popen":
            self._processes.setdefault(value.pid, f", {where}")
        elif kind.__module__ in ("socket", "ssl", "multiprocessing.connection"):
            fd = value.fileno()
            kind_here = kind_of(fd, descriptors().get(fd, ""))
            if kind_here:
                self._descriptors.setdefault(fd, f"{kind_here}, {where}")


def _is_loop(kind: type) -> bool:
    asyncio = sys.modules.get("asyncio.events")
    return asyncio is not None and issubclass(kind, asyncio.AbstractEventLoop)


def _globals_of_the_project() -> Iterator[tuple[str, Any]]:
    here = os.path.join(os.getcwd(), "")
    for module in sys.modules.copy().values():
        file = getattr(module, "__file__", None)
        if not isinstance(file, str) or not file.startswith(here) or "site-packages" in file:
            continue
        for name, value in list(vars(module).items()):
            yield f"`{name}` in `{file[len(here) :]}`", value


def some(names: Iterable[str]) -> str:
    """The first few, and how many more there are."""
    names = list(names)
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
