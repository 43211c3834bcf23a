"""Run the command line with `python -m inventory_cli`."""

import sys

from inventory_cli.app import main

if __name__ == "__main__":
    sys.exit(main())
