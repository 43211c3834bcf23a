"""Coverage as the report program uses it: what was analysed for one report serves all, and
what depends on the source alone is found out before the data is there.

What is used of coverage here is private. Where a version no longer has it, every report
analyses for itself, when it is made: slower, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import coverage
from coverage.python import PythonFileReporter, get_python_source

#: So much source is parsed ahead, in characters. What is kept of it takes about 30 times as
#: many bytes (measured on jinja2), which the tests have to do without.
AHEAD = 4 << 20

#: Coverage's parsers that have found out all they can, by file.
_parsers: dict[str, Any] = {}


def parse_ahead(
    cov: coverage.Coverage, files: Iterable[str], branches: bool, wanted: Callable[[], bool]
) -> None:
    """Parse files that will be reported on, as long as there is nothing better to do."""
    size = 0
    for file in files:
        if size > AHEAD or not wanted():
            return
        # What is wrong with a file is said when it is reported on.
        with suppress(Exception):
            reporter = PythonFileReporter(file, cov)
            parser = reporter.parser
            size += len(parser.text)
            if branches:
                reporter.arcs()
                reporter.exit_counts()
            _parsers[reporter.filename] = parser


def _parsed_ahead(reporter: Any) -> None:
    """Give a reporter the parser that it would make, if the file is still the same."""
    parser = _parsers.get(reporter.filename)
    if parser is None or type(reporter) is not PythonFileReporter:
        return
    # Where the file cannot be read any more, coverage is to find that out.
    with suppress(Exception):
        is_same = parser.text == get_python_source(reporter.filename)
        if is_same and parser.exclude == reporter.coverage._exclude_regex("exclude"):
            reporter._parser = parser


class SharedCoverage(coverage.Coverage):
    """Coverage that analyses each source file once, whatever the number of reports."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._shared_reporters: dict[Any, Any] = {}
        self._shared_analyses: dict[Any, Any] = {}
        self._shared_prepared = False
        #: Files that are not reported on, whoever has measured them.
        self.hidden: Any = None

    def reopen(self) -> bool:
        """Read the data file anew, and say whether that is so. In a fork that must be done:
        there, coverage takes data that it had open before for its own to write, and deletes
        the file."""
        inherited = self.get_data()
        self._data = None
        self.load()
        self._shared_prepared = False
        return self.get_data() is not inherited

    def _prepare_data_for_reporting(self) -> None:
        if not self._shared_prepared:
            super()._prepare_data_for_reporting()
            self._shared_prepared = True
        # A fresh process would start each report without a filter by context.
        self.get_data().set_query_contexts(None)

    def _get_file_reporters(self, morfs: Any = None) -> Any:
        if not morfs and self.hidden is not None:
            morfs = [file for file in self._data.measured_files() if not self.hidden.hides(file)]
            # An empty list would mean all.
            return super()._get_file_reporters(morfs) if morfs else []
        return super()._get_file_reporters(morfs)

    def _get_file_reporter(self, morf: Any, *args: Any, **kwargs: Any) -> Any:
        if morf not in self._shared_reporters:
            reporter = super()._get_file_reporter(morf, *args, **kwargs)
            _parsed_ahead(reporter)
            self._shared_reporters[morf] = reporter
        return self._shared_reporters[morf]

    def _analyze(self, morf: Any, *args: Any, **kwargs: Any) -> Any:
        # Some reports filter by context and some do not: their analyses differ.
        key = morf, self._contexts_asked_for()
        if key not in self._shared_analyses:
            try:
                self._shared_analyses[key] = super()._analyze(morf, *args, **kwargs)
            except Exception as exc:
                # Kept too: a parser that has failed is half done, and would answer if asked again.
                self._shared_analyses[key] = exc
        analysis = self._shared_analyses[key]
        if isinstance(analysis, Exception):
            raise analysis
        return analysis

    def _contexts_asked_for(self) -> Any:
        if not self.get_option("report:contexts"):
            return None
        # Where a version keeps them elsewhere, nothing is shared: no key equals another.
        return repr(getattr(self.get_data(), "_query_context_ids", object()))
