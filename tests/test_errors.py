"""The hint of a missing extra: a command that works where the package was installed from a clone, a wheel, or neither."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cof import errors

PIP = f"{shlex.quote(sys.executable)} -m pip install"


def hint(folder: Path, url: object) -> str:
    """What an installed package says that pip recorded so, in a process of its own."""
    made = folder / "chain_of_focus-0.1.0.dist-info"
    made.mkdir()
    (made / "METADATA").write_text("Metadata-Version: 2.1\nName: chain-of-focus\nVersion: 0.1.0\n")
    if url is not None:
        (made / "direct_url.json").write_text(json.dumps(url))
    shutil.copy(errors.__file__, folder / "errors.py")
    code = f"import sys; sys.path.insert(0, {str(folder)!r}); import errors; print(errors.installing('serve'))"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_a_clone_is_installed_again_with_the_extra() -> None:
    clone = Path(errors.__file__).parents[1]
    assert errors.installing("serve") == f"{PIP} -e '{clone}[serve]'"
    assert str(errors.MissingExtra("a server", "uvicorn", "serve")) == (
        f"a server needs uvicorn; want the extra serve installed: {PIP} -e '{clone}[serve]'"
    )


@pytest.mark.parametrize(
    ("record", "address"),
    [
        ({"url": "file:///a/my.whl", "archive_info": {}}, "file:///a/my.whl"),
        ({"url": "https://a.b/c.git", "vcs_info": {"vcs": "git", "commit_id": "12"}}, "git+https://a.b/c.git@12"),
    ],
)
def test_what_pip_installed_is_installed_again_with_the_extra(tmp_path: Path, record: object, address: str) -> None:
    assert hint(tmp_path, record) == f"{PIP} 'chain-of-focus[serve] @ {address}'"


@pytest.mark.parametrize("record", [None, {}, {"url": 1}, [1]])
def test_a_package_of_unknown_origin_has_both_hints_and_no_registry(tmp_path: Path, record: object) -> None:
    assert hint(tmp_path, record).startswith("pip install '.[serve]' in the clone, or 'chain_of_focus-VERSION-py3")
