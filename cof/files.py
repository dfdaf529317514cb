"""Files at addresses such as `s3://bucket/name`: read as a whole or line by line, and written.

Local paths and http addresses are no such addresses. fsspec reads and writes, with the package of the protocol. Omits
pictures.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cof.errors import CofError, InputError, MissingExtra

ADDRESS = re.compile(r"([a-z][a-z0-9+.-]*)://(?=.)", re.IGNORECASE)
FSSPEC = "fsspec"
# What each protocol needs.
PACKAGES = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "file": FSSPEC, "memory": FSSPEC}
EXTRAS = {"s3fs": "s3", "gcsfs": "gs", FSSPEC: "s3"}


def is_address(text: object) -> bool:
    """Whether a text is an address of a protocol in PACKAGES. No other is followed: a row could reach anywhere."""
    return _protocol(text) in PACKAGES


def check(place: str) -> None:
    """Raises InputError where a place is an address that cannot be written to, MissingExtra where its package is not there."""
    protocol = _protocol(place)
    if protocol and protocol not in PACKAGES:
        raise InputError(
            f"{place} is an address of the protocol {protocol}; want a path, or one of {', '.join(PACKAGES)}"
        )
    if protocol:
        _imported(place)


def read(address: str) -> bytes:
    """The file at an address. Raises InputError or MissingExtra."""
    with _opened(address, "rb") as file:
        content: bytes = file.read()
    return content


def lines(place: str | Path) -> Iterator[bytes]:
    """The lines of a file at a path or an address, each with its end. Raises InputError or MissingExtra."""
    if not is_address(place):
        try:
            with Path(place).open("rb") as file:
                yield from file
        except OSError as error:
            raise InputError(f"{place} cannot be read ({error.strerror}); want a file that can be read") from None
        return
    with _opened(str(place), "rb") as file:
        yield from file


def copy_to(file: Path, address: str) -> None:
    """Copy a local file to an address. Raises InputError or MissingExtra."""
    with file.open("rb") as source, _opened(address, "wb") as target:
        while part := source.read(1 << 20):
            target.write(part)


@contextmanager
def _opened(address: str, mode: str) -> Iterator[Any]:
    try:
        with _imported(address).open(address, mode) as file:
            yield file
    except CofError:
        raise
    except Exception as error:  # each package raises its own
        reason = " ".join(str(error).split()) or type(error).__name__
        want = "want a file that can be reached" if mode == "rb" else "want a place that can be written"
        raise InputError(f"{address} cannot be {'read' if mode == 'rb' else 'written'} ({reason}); {want}") from None


def _protocol(text: object) -> str:
    found = ADDRESS.match(text) if isinstance(text, str) else None
    return found[1].lower() if found else ""


def _imported(address: str) -> Any:
    """fsspec, with what the address's protocol needs. Raises MissingExtra."""
    package = PACKAGES[_protocol(address)]
    try:
        import fsspec

        fsspec.get_filesystem_class(_protocol(address))
    except ImportError:
        raise MissingExtra(f"the address {address}", package, EXTRAS[package]) from None
    return fsspec
