"""The command line: parse, call, print."""

import sys

from cof.cli import status


def main() -> None:
    """Run the command line. Its parts are imported after the command has given a sign of life."""
    if sys.argv[1:] and not sys.argv[1].startswith("-"):
        status.show("cof: starting ...")
    from cof.cli.app import run

    run()
