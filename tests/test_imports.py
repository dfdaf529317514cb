"""Rooms: imports go downward only, torch stays in its two places, and the package runs without it."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted((ROOT / "cof").rglob("*.py"))
ROOMS = (  # from the ground up; rooms on one floor may not import each other. "" is cof/__init__.py
    {"errors"},
    {"geometry"},
    {"types"},
    {"trace"},
    {"config", "files", "plain", "registry", "runs"},
    {"vision"},
    {"tools"},
    {"dialects"},
    {"models"},
    {"loop"},
    {"probe"},
    {"scoring"},
    {"data"},
    {"agent"},
    {"train"},
    {"needle"},
    {"nano"},
    {"evaluate"},
    {"api", "view"},
    {"batch", "serve"},
    {""},
    {"cli"},
    {"__main__"},
)
FLOOR = {room: floor for floor, rooms in enumerate(ROOMS) for room in rooms}
HEAVY = {"torch", "torchvision", "transformers", "trl", "peft", "datasets", "accelerate", "safetensors", "tokenizers"}
HEAVY_PLACES = (
    "cof/models/local/",
    "cof/data/embed.py",
    "cof/data/sequences.py",
    "cof/train/",
    "cof/nano/",
)


def place(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def room_of(module: str) -> str:
    """The room of a module of this package: "vision" of "cof.vision.boxes", "" of "cof"."""
    return [*module.split("."), ""][1]


def module_of(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports_of(source: str, package: str) -> Iterator[str]:
    """Every module that `source` imports, wherever in it; a name that may be a module is given in full."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module, names, level):
                above = package.split(".")[: len(package.split(".")) - level + 1] if level else []
                base = ".".join([*above, *([module] if module else [])])
                yield from (f"{base}.{alias.name}" if base == "cof" else base for alias in names)


def found_in(file: Path) -> list[str]:
    name = module_of(file)
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    return list(imports_of(file.read_text(encoding="utf-8"), package))


def upward(file: Path) -> list[str]:
    """What `file` imports from its floor's other rooms or from above."""
    own = room_of(module_of(file))
    others = [m for m in found_in(file) if m.split(".")[0] == "cof" and room_of(m) != own]
    return [m for m in others if FLOOR.get(room_of(m), FLOOR[""]) >= FLOOR[own]]


def test_imports_are_found_wherever_they_stand() -> None:
    source = (
        "import a.b\nfrom c import d\ndef f():\n    from . import e\n    from ..g import h\nfrom cof import types, run"
    )
    assert set(imports_of(source, "cof.models")) == {"a.b", "c", "cof.models", "cof.g", "cof.types", "cof.run"}
    assert room_of("cof.types") == "types"
    assert room_of("cof") == ""
    assert len(FILES) > 20


@pytest.mark.parametrize("file", FILES, ids=place)
def test_a_file_stands_in_a_known_room(file: Path) -> None:
    assert room_of(module_of(file)) in FLOOR


@pytest.mark.parametrize("file", FILES, ids=place)
def test_imports_go_downward_only(file: Path) -> None:
    assert upward(file) == []


@pytest.mark.parametrize("file", FILES, ids=place)
def test_torch_stays_in_its_places(file: Path) -> None:
    heavy = {m for m in found_in(file) if m.split(".")[0] in HEAVY}
    assert not heavy or place(file).startswith(HEAVY_PLACES)


WITHOUT_TORCH = f"""
import sys
sys.modules.update(dict.fromkeys({sorted(HEAVY)!r}))  # None: importing it fails
import cof
from PIL import Image
zoom = '<tool_call>{{"name": "image_zoom_in_tool", "arguments": {{"bbox_2d": [0, 0, 99, 99]}}}}</tool_call>'
model = cof.ScriptedModel([zoom, "<answer>B</answer>"])
trace = cof.run(model, cof.Question("1", "", "What?"), Image.new("RGB", (800, 600)))
assert (trace.answer, trace.zooms) == ("B", 1), trace
assert cof.ask(Image.new("RGB", (800, 600)), "What?", model=model).answer == "B"
try:
    cof.ask(Image.new("RGB", (800, 600)), "What?")
except cof.InputError as error:
    print(error)
"""


def test_without_torch_the_scripted_path_runs_and_a_local_model_says_what_to_install() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", WITHOUT_TORCH], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    assert "want the extra local installed: " in done.stdout


SEAMS = {  # rooms that nothing imports but they themselves and these: they are reached by name (`cof/registry.py`)
    "cof.needle": ("cof/needle/", "cof/nano/"),
    "cof.nano": ("cof/nano/", "cof/cli/nano.py"),
}


@pytest.mark.parametrize("room", SEAMS)
def test_a_room_behind_a_seam_is_imported_by_nobody_else(room: str) -> None:
    users = {place(file) for file in FILES if any(f"{m}.".startswith(f"{room}.") for m in found_in(file))}
    assert users
    assert [user for user in users if not user.startswith(SEAMS[room])] == []


def test_supervision_of_any_model_loads_nothing_of_the_embedded_one() -> None:
    code = (
        "import sys, cof.train.sft, cof.train.traces, cof.train.grpo\n"
        "print([m for m in sys.modules if m.startswith(('cof.nano', 'cof.needle'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "[]", done.stderr
