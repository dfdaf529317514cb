"""The command line: parse, call, print."""

import sys

from cof.cli import status


def main() -> None:
    """Run the command line. Its parts are imported after `cof ask` has given a sign of life."""
    if sys.argv[1:2] == ["ask"]:
        status.show("cof: starting ...")
    from cof.cli.app import run

    run()
