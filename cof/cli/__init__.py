"""The command line: parse, call, print."""

from cof.cli.main import main

__all__ = ["main"]
