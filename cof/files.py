"""Files at addresses that fsspec reaches, such as `s3://bucket/name`: read as a whole or line by line, and written.

Local paths and http addresses are no such addresses. Needs fsspec, and the package of the address's protocol. Omits pictures.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cof.errors import InputError, MissingExtra

ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+)://(?=.)", re.IGNORECASE)
NOT_HERE = ("http", "https")  # which `vision/fetch.py` fetches, within limits
EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs"}  # by protocol


def is_address(text: object) -> bool:
    """Whether a text is an address that fsspec reaches."""
    found = ADDRESS.match(text) if isinstance(text, str) else None
    return found is not None and found[1].lower() not in NOT_HERE


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
    protocol = ADDRESS.match(address)[1].lower()  # type: ignore[index]
    try:
        import fsspec

        with fsspec.open(address, mode) as file:
            yield file
    except ImportError as error:
        raise MissingExtra(f"the address {address}", error.name, EXTRAS.get(protocol, "s3")) from None
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        want = "want a file that can be reached" if mode == "rb" else "want a place that can be written"
        raise InputError(f"{address} cannot be {'read' if mode == 'rb' else 'written'} ({reason}); {want}") from None
