"""The documents hold together: every page is in the navigation, every internal link and anchor exists, and the site builds."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import cof

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
SETTINGS: dict[str, Any] = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
PAGES = sorted([*DOCS.glob("*.md"), *ROOT.glob("*.md")])
LINK = re.compile(r"(?<!\\)\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)
CODE = re.compile(r"`([^`\n]+)`")
TARGET = re.compile(r"^([a-z-]+):", re.MULTILINE)
PLACES = ("cof/", "tests/", "examples/", "benchmarks/", "recipes/", "docs/", ".ci/", ".github/")
ELSEWHERE = ("http://", "https://", "mailto:")


def prose(page: Path) -> str:
    """A page without its code: what looks like a link or a heading there is none."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"`[^`\n]*`", lambda found: found[0].replace("[", " ").replace("]", " "), text)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as the site and GitHub make them."""
    plain = (unicodedata.normalize("NFKD", words).lower() for words in HEADING.findall(prose(page)))
    return {re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", words).strip()) for words in plain}


def dead(page: Path) -> Iterator[str]:
    """The internal links of a page that lead nowhere, and those of a page of the site that lead outside of it."""
    for link in LINK.findall(prose(page)):
        if link.startswith(ELSEWHERE):
            continue
        path, _, anchor = link.partition("#")
        file = (page.parent / path).resolve() if path else page
        outside = page.parent == DOCS and not file.is_relative_to(DOCS)
        if not file.exists() or outside or (anchor and anchor not in anchors(file)):
            yield link


def pages_of(navigation: Any) -> Iterator[str]:
    """The files that the navigation names."""
    match navigation:
        case str():
            yield navigation
        case list():
            for each in navigation:
                yield from pages_of(each)
        case dict():
            yield from pages_of(list(navigation.values()))


def test_every_page_is_in_the_navigation_once() -> None:
    assert sorted(pages_of(SETTINGS["nav"])) == sorted(path.name for path in DOCS.rglob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_internal_links_and_anchors_exist(page: Path) -> None:
    assert list(dead(page)) == []


def test_dead_links_are_found(tmp_path: Path) -> None:
    page, other = tmp_path / "page.md", tmp_path / "other.md"
    page.write_text("[a](other.md#two-words) [b](other.md#none) [c](no.md) [d](#e) `[f](no.md)` ![g](no.png)\n# `E`\n")
    other.write_text("## Two words\n```\n# none\n```\n")
    assert list(dead(page)) == ["other.md#none", "no.md", "no.png"]
    assert anchors(page) == {"e"}


def test_the_site_is_strict_and_loads_nothing_from_elsewhere() -> None:
    assert SETTINGS["strict"] is True
    assert SETTINGS["theme"]["font"] is False
    checks = [level for group in SETTINGS["validation"].values() for level in group.values()]
    assert set(checks) == {"warn"}


def test_the_guide_for_contributors_names_paths_and_commands_that_exist() -> None:
    guide = (ROOT / "CONTRIBUTING.md").read_text()
    named = {path for path in CODE.findall(guide) if path.startswith(PLACES)}
    assert len(named) > 20
    assert {path for path in named if not (ROOT / path).exists()} == set()
    commands = {words.split()[1] for words in CODE.findall(guide) if words.startswith("make ")}
    assert commands <= set(TARGET.findall((ROOT / "Makefile").read_text()))


def test_the_guide_for_contributors_has_a_row_for_every_room() -> None:
    table = (ROOT / "CONTRIBUTING.md").read_text().partition("## The tree")[2].partition("\n## ")[0]
    rooms = {path.parent.name + "/" for path in (ROOT / "cof").glob("*/__init__.py")}
    assert rooms - set(CODE.findall(table)) == set()


@pytest.mark.long
def test_the_site_builds_and_its_reference_has_every_public_name(tmp_path: Path) -> None:
    done = build(ROOT / "mkdocs.yml", tmp_path / "site")
    assert done.returncode == 0, done.stderr
    reference = (tmp_path / "site" / "api" / "index.html").read_text()
    assert {name for name in cof.__all__ if f'id="cof.{name}"' not in reference} == set()
    index = json.loads((tmp_path / "site" / "search" / "search_index.json").read_text())
    found = {entry["location"].partition("/")[0] for entry in index["docs"]}
    assert found >= {path.stem for path in DOCS.glob("*.md")} - {"index"}


@pytest.mark.long
def test_a_dead_link_fails_the_build(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("# Page\n\n[there](#nowhere)\n")
    settings = SETTINGS | {"nav": ["index.md"], "plugins": []}
    (tmp_path / "mkdocs.yml").write_text(yaml.safe_dump(settings))
    done = build(tmp_path / "mkdocs.yml", tmp_path / "site")
    assert done.returncode == 1
    assert "nowhere" in done.stderr


def build(settings: Path, out: Path) -> subprocess.CompletedProcess[str]:
    """What `make docs` runs, into a folder of its own."""
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--config-file",
        str(settings),
        "--site-dir",
        str(out),
    ]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
