"""Says, as one line of JSON, which of some options take a value: pytest's own parser is asked.

Run as `python -c OPTIONS NAMES ARGUMENTS` in the project's folder, both JSON: the names, and what
leads pytest to the plugins and conftests that add options (paths, `-p NAME`, `-c FILE`). These are
imported, so this runs only where there is an option that nothing else explains.
"""

import sys

# `-c` puts the current folder first; a module there must not stand in for a library's.
sys.path[:] = [entry for entry in sys.path if entry]

import json
import os

import pytest

MARK = "\x01xtask-options "
# No option has it for a choice, and no path is called so.
WORD = "\x02"


class Asker:
    def pytest_addoption(self, parser):
        self.parser = parser

    @pytest.hookimpl(tryfirst=True)
    def pytest_cmdline_main(self, config):
        found = [name for name in json.loads(sys.argv[1]) if takes_value(self.parser, name)]
        sys.stdout.write("\n" + MARK + json.dumps(found) + "\n")
        sys.stdout.flush()
        return 0


def takes_value(parser, name):
    """Whether a word after the option is its own, and no path."""
    try:
        known, unknown = parser.parse_known_and_unknown_args([name, WORD])
    except (Exception, SystemExit):
        return True  # It would be a number, or one of a few words.
    return WORD not in known.file_or_dir and WORD not in unknown


os.environ.pop("PYTEST_ADDOPTS", None)
pytest.main([*json.loads(sys.argv[2]), "-o", "addopts="], plugins=[Asker()])
