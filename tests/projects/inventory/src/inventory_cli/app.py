"""What can be typed, and how it ends."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from inventory import InventoryError, __version__, config
from inventory_cli import commands

OK, FAILED, USAGE = 0, 1, 2


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    top = argparse.ArgumentParser(
        prog="inventory", description="Keep a small warehouse"
    )
    top.add_argument("--version", action="version", version=__version__)
    top.add_argument("--config", type=Path, help="an ini file with settings")
    top.add_argument("--database", type=Path, help="the database to work on")
    tasks = top.add_subparsers(dest="task", metavar="TASK")

    task = tasks.add_parser("import", help="read a catalogue from a file")
    task.add_argument("file", type=Path)
    task.set_defaults(run=commands.import_catalogue)

    task = tasks.add_parser("export", help="write the catalogue to a file")
    task.add_argument("file", type=Path)
    task.set_defaults(run=commands.export_catalogue)

    task = tasks.add_parser("list", help="list the items")
    task.add_argument("text", nargs="?", default="")
    task.add_argument("--tag")
    task.set_defaults(run=commands.list_items)

    for name in ("receive", "issue"):
        task = tasks.add_parser(name, help=f"{name} goods")
        task.add_argument("sku")
        task.add_argument("quantity", type=int)
        task.add_argument("--on", type=date.fromisoformat, default=date(2024, 1, 1))
        task.add_argument("--reference", default="")
        task.set_defaults(run=getattr(commands, name))

    task = tasks.add_parser("report", help="print a report")
    task.add_argument("kind", choices=("valuation", "low-stock", "movements"))
    task.add_argument("--style", default="text")
    task.set_defaults(run=commands.report)

    task = tasks.add_parser("barcode", help="check, complete or repair a barcode")
    task.add_argument("code")
    task.set_defaults(run=commands.barcode)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one task, and return the exit code."""
    typed = parser().parse_args(arguments)
    if typed.task is None:
        parser().print_usage(sys.stderr)
        return USAGE
    try:
        settings = config.load(typed.config, os.environ)
        for line in typed.run(typed, settings):
            print(line)
    except InventoryError as error:
        print(f"inventory: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("inventory: interrupted", file=sys.stderr)
        return 130
    return OK
