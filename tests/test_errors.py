"""The hint of a missing extra: a command that works where the package was installed from a clone, a wheel, or neither."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cof.errors import MissingExtra

ROOT = Path(__file__).parent.parent


def hint(folder: Path, url: object) -> str:
    """What a package says that pip recorded so, in a process of its own."""
    made = folder / "chain_of_focus-0.1.0.dist-info"
    made.mkdir()
    (made / "METADATA").write_text("Metadata-Version: 2.1\nName: chain-of-focus\nVersion: 0.1.0\n")
    if url is not None:
        (made / "direct_url.json").write_text(json.dumps(url))
    code = f"import sys; sys.path[:0] = [{str(folder)!r}, {str(ROOT)!r}]\nfrom cof.errors import MissingExtra\n"
    code += "print(MissingExtra('a server', 'uvicorn', 'serve'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip().removeprefix("a server needs uvicorn; want it installed: ")


@pytest.mark.parametrize("editable", [True, False])
def test_a_clone_is_installed_again_with_the_extra(tmp_path: Path, editable: bool) -> None:
    clone = tmp_path / "my clone"
    clone.mkdir()
    said = hint(tmp_path, {"url": clone.as_uri(), "dir_info": {"editable": editable}})
    assert said == f"{sys.executable} -m pip install {'-e ' * editable}'{clone}[serve]'"


def test_a_wheel_is_installed_again_with_the_extra(tmp_path: Path) -> None:
    wheel = tmp_path / "chain_of_focus-0.1.0-py3-none-any.whl"
    wheel.write_bytes(b"")
    said = hint(tmp_path, {"url": wheel.as_uri(), "archive_info": {}})
    assert said == f"{sys.executable} -m pip install '{wheel}[serve]'"


@pytest.mark.parametrize("url", [None, {"url": "file:///gone/away"}, {"url": "https://example.org/a.git"}, [1]])
def test_a_package_of_unknown_origin_has_both_hints(tmp_path: Path, url: object) -> None:
    assert hint(tmp_path, url).startswith("pip install '.[serve]' in the clone, or 'chain_of_focus-VERSION-py3")


def test_no_hint_names_the_registry() -> None:
    assert "'chain-of-focus[" not in str(MissingExtra("a server", "uvicorn", "serve"))
