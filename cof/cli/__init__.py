"""The command line: parse, call, print."""

import sys

from cof.cli import status


def main() -> None:
    """Run the command line. A command shows that it runs before the slow imports."""
    if sys.argv[1:] and not sys.argv[1].startswith("-"):
        status.show("cof: starting ...")
    from cof.cli.app import run

    run()
