"""Coverage's XML report with file names as a repository has them.

Coverage writes them relative to the sources: two of those may hold a file of the same name,
and with `relative_files` they are no places on disk. A reader that knows only the files of
the repository, as GitLab does, then marks no file, or another one.
"""

from __future__ import annotations

import copy
import os
from typing import Any

from coverage.xmlreport import XmlReporter


class FromTheTop(XmlReporter):
    """All files below `top` are named from there, and `top` is the only source."""

    top = ""

    def __init__(self, coverage: Any) -> None:
        super().__init__(coverage)
        self.source_paths = {os.path.realpath(self.top)}

    def xml_file(self, fr: Any, analysis: Any, has_arcs: bool) -> None:
        absolute = copy.copy(fr)  # other reports use it too
        absolute.filename = os.path.realpath(fr.filename)
        super().xml_file(absolute, analysis, has_arcs)
