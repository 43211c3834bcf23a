"""Coverage as the report program uses it: what was analysed for one report serves all."""

from __future__ import annotations

from typing import Any

import coverage


class SharedCoverage(coverage.Coverage):
    """Coverage that analyses each source file once, whatever the number of reports.

    The methods are coverage's private ones. Where a version no longer calls them, every
    report analyses for itself again: slower, and nothing else.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._shared_reporters: dict[Any, Any] = {}
        self._shared_analyses: dict[Any, Any] = {}
        self._shared_prepared = False

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

    def _get_file_reporter(self, morf: Any, *args: Any, **kwargs: Any) -> Any:
        if morf not in self._shared_reporters:
            reporter = super()._get_file_reporter(morf, *args, **kwargs)
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
