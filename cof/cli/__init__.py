"""The command line: parse, call, print."""

import sys

from cof.cli import status


def main() -> None:
    """Run the command line. `cof ask` shows that it runs before the slow imports."""
    if sys.argv[1:2] == ["ask"]:
        status.show("cof: starting ...")
    from cof.cli.app import run

    run()
