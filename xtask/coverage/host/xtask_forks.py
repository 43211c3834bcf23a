"""Work that is done in forks of this process, side by side, and the HTML pages as such work.

A fork inherits all that has been analysed so far, so nothing is analysed twice, and what it
makes is what one process would have made.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import SimpleNamespace
from typing import Any

from coverage import html
from coverage.exceptions import CoverageException

#: Fewer source files than this are reported on sooner than a process is forked.
FEW = 40


class Lost(CoverageException):
    """What a fork was to do is not done; the text says why."""


class Fork:
    """A fork of this process that does one thing and tells what came of it, as JSON.
    Raises `OSError` where there is no room for another process."""

    def __init__(self, work: Callable[[], Any]) -> None:
        # What is buffered here would be printed twice.
        sys.stdout.flush()
        sys.stderr.flush()
        reading, writing = os.pipe()
        try:
            self._pid = os.fork()
        except OSError:
            os.close(reading)
            os.close(writing)
            raise
        if self._pid == 0:
            os.close(reading)
            _be(work, writing)
        os.close(writing)
        self._reading = reading

    def result(self) -> Any:
        """Wait for the end. Raises `Lost` where there is no result."""
        done, result = self._hear()
        if not done:
            raise Lost(result)
        return result

    def _hear(self) -> tuple[bool, Any]:
        with open(self._reading, encoding="ascii") as pipe:
            told = pipe.read()
        _, status = os.waitpid(self._pid, 0)
        if os.WIFSIGNALED(status):
            return False, f"its process was ended by signal {os.WTERMSIG(status)}"
        if status != 0 or not told:
            return False, f"its process ended early with exit code {os.WEXITSTATUS(status)}"
        done, result = json.loads(told)
        return done, result


def _be(work: Callable[[], Any], writing: int) -> None:
    """The fork, to its last instruction: nothing of its parent's runs here, no `finally`."""
    code = 1
    try:
        with open(writing, "w", encoding="ascii") as pipe:
            json.dump(_done(work), pipe)
        sys.stdout.flush()
        sys.stderr.flush()
        code = 0
    finally:
        os._exit(code)


def _done(work: Callable[[], Any]) -> tuple[bool, Any]:
    """The result, or what kept it from being one."""
    try:
        return True, work()
    except BaseException as exc:
        return False, message(exc)


def worth_it(processes: int, files: int) -> bool:
    """Whether to fork. A lock that another thread holds at the fork would stay locked."""
    return processes > 1 and files >= FEW and threading.active_count() == 1


def message(exc: BaseException) -> str:
    """What coverage says itself, as it is; anything else with its type."""
    if isinstance(exc, CoverageException):
        return str(exc)
    return f"{type(exc).__name__}: {exc}"


def can_share_pages() -> bool:
    """Whether this coverage writes its pages in the steps that `SharedPages` knows."""
    steps = ("write_html_page", "write_file_index_page")
    known = all(hasattr(html.HtmlReporter, step) for step in steps)
    functions = ("write_html", "FileData", "HtmlDataGeneration")
    return known and all(hasattr(html, name) for name in functions)


class SharedPages(html.HtmlReporter):  # type: ignore[misc]
    """Coverage's HTML report, its pages written by several processes.

    All pages wait until coverage comes to the index. Then the others write their share of
    them, while this process writes its own and goes through the rest for the numbers that
    each page adds to the index.
    """

    #: How many processes write pages.
    processes = 1

    def __init__(self, cov: Any) -> None:
        super().__init__(cov)
        self._pages: list[Any] = []

    def write_html_page(self, ftr: Any) -> None:
        self._pages.append(ftr)

    def write_file_index_page(self, *args: Any, **kwargs: Any) -> None:
        helpers: dict[int, Fork] = {}
        for share in range(1, self.processes):
            with suppress(OSError):
                helpers[share] = Fork(partial(self._write_share, share))
        try:
            for at, page in enumerate(self._pages):
                if at % self.processes in helpers:
                    self._pass_over(page)
                else:
                    super().write_html_page(page)
        finally:
            errors = [error for error in map(_error_of, helpers.values()) if error is not None]
        for error in errors:
            raise error
        super().write_file_index_page(*args, **kwargs)

    def _write_share(self, share: int) -> None:
        """In a fork."""
        self.coverage.reopen()
        self.data = self.coverage.get_data()
        self.datagen = html.HtmlDataGeneration(self.coverage)
        for page in self._pages[share :: self.processes]:
            super().write_html_page(page)

    def _pass_over(self, page: Any) -> None:
        """As `write_html_page`, of a page without lines, which is not written."""
        write, datagen = html.write_html, self.datagen
        html.write_html = lambda *_: None
        self.datagen = SimpleNamespace(data_for_file=_no_lines)  # type: ignore[assignment]
        try:
            super().write_html_page(page)
        finally:
            html.write_html, self.datagen = write, datagen


def _no_lines(reporter: Any, analysis: Any) -> Any:
    return html.FileData(reporter.relative_filename(), analysis.numbers, [])


def _error_of(fork: Fork) -> Lost | None:
    try:
        fork.result()
    except Lost as lost:
        return lost
    return None
