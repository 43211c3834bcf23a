"""Closing: what the controller's session says at its end, and the status that it ends with."""

from __future__ import annotations

import io
import os
import stat
import sys
from types import FrameType
from typing import Any

import pytest

from xtask_host.text import as_text, cut
from xtask_host.workers import MAX_WARNINGS_ERROR

# Of pytest's own summary these are said by us, for all workers together.
_OURS = ("summary_failures", "summary_errors", "summary_warnings", "summary_stats")


class Closing:
    """From the end of the tests to the end of the session."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._printed_from: int | None = None
        self._text: io.StringIO | None = None
        self._nowhere: Any = None
        self._reporter: Any = None
        self._natural: int | None = None
        self._by: str | None = None
        self._session: Any = None

    def listen_to_output(self, config: pytest.Config) -> None:
        """From here on what plugins print past pytest's reporter is theirs, to be shown."""
        if self._printed_from is not None:
            return
        self._reporter = config.pluginmanager.getplugin("terminalreporter")
        writer = getattr(self._reporter, "_tw", None)
        if writer is not None:
            writer.flush()
            # Kept: dropped without being closed it is a warning, which a filter makes an error.
            self._nowhere = writer._file = open(os.devnull, "w")
        self._printed_from = _size_of_output()

    def begin(self, session: pytest.Session) -> None:
        """The tests are over: what is printed from here on is shown to the user."""
        self.listen_to_output(session.config)
        self._session = session
        self._watch_status(session)
        reporter = self._reporter
        writer = getattr(reporter, "_tw", None)
        if writer is None:
            return
        reporter._show_progress_info = False
        self._text = writer._file = io.StringIO()
        for name in _OURS:
            if hasattr(reporter, name):
                setattr(reporter, name, lambda: None)
        # Failures and errors are listed by us.
        shown = getattr(reporter, "reportchars", "")
        reporter.reportchars = "".join(char for char in shown if char not in "fEw")

    def _watch_status(self, session: Any) -> None:
        """Note who sets the session's status: the user has to be told."""
        of_pytest, closing = type(session), self
        session.__dict__.setdefault("exitstatus", 0)

        def get(session: Any) -> Any:
            return session.__dict__["exitstatus"]

        def put(session: Any, value: Any) -> None:
            closing._note_status(sys._getframe(1), session.__dict__["exitstatus"], value)
            session.__dict__["exitstatus"] = value

        parts = {
            "__slots__": (),
            "exitstatus": property(get, put),
            "__module__": of_pytest.__module__,
        }
        session.__class__ = type(of_pytest)(of_pytest.__name__, (of_pytest,), parts)

    def _note_status(self, frame: FrameType, before: Any, value: Any) -> None:
        module = frame.f_globals.get("__name__", "")
        if module == "_pytest.main":
            self._natural = int(value)
        elif value != before:
            root = str(self._session.config.rootpath)
            file = frame.f_code.co_filename
            inside = file.startswith(os.path.join(root, "")) and "site-packages" not in file
            self._by = os.path.relpath(file, root) if inside else module.partition(".")[0]

    def told(self, status: int) -> dict[str, Any]:
        """What there is to say when the session has ended."""
        event: dict[str, Any] = {"event": "session-ended", "exit": status}
        text = cut(self._said(), self._limit)
        if text.strip():
            event["text"] = text
        if self._natural is not None and status != self._natural:
            event["by"] = "pytest" if self._by in (None, "", "_pytest") else self._by
            event["why"] = self._why(status)
        return event

    def _why(self, status: int) -> str | None:
        if status != MAX_WARNINGS_ERROR or self._reporter is None:
            return None
        count = len(self._reporter.stats.get("warnings", ()))
        most = self._reporter._get_max_warnings()
        return f"{count} warnings are more than `max_warnings = {most}` allows"

    def _said(self) -> str:
        summary = self._text.getvalue() if self._text is not None else ""
        # Kept in the log as well, where a sequential run would have it.
        sys.stdout.flush()
        printed = _output_from(self._printed_from)
        if summary.strip():
            print(summary, flush=True)
        return f"{printed.strip()}\n{as_text(summary).strip()}".strip("\n")


def _size_of_output() -> int | None:
    """Bytes in the file that is our standard output; None where it is none."""
    try:
        sys.stdout.flush()
        found = os.fstat(1)
    except (OSError, ValueError, AttributeError):
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def _output_from(start: int | None) -> str:
    if start is None:
        return ""
    try:
        with open("/proc/self/fd/1", "rb") as log:
            log.seek(start)
            return log.read().decode(errors="backslashreplace")
    except OSError:
        return ""
