from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cof.config import dump_config, load_config, replace_fields
from cof.errors import InvalidBox, InvalidConfig
from cof.geometry import Box, ViewSpec
from cof.types import Limits


@dataclass(frozen=True)
class Optimizer:
    rate: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.95)
    warmup: int | None = None


@dataclass(frozen=True)
class Stage:
    name: str
    optimizer: Optimizer = Optimizer(rate=1e-3)


@dataclass(frozen=True)
class Job:
    seed: int = 0
    seconds: float = 60.0
    resume: bool = False
    model: str = "cof-nano"
    out: Path = Path("runs/job")
    mode: Literal["sft", "grpo"] = "sft"
    sizes: tuple[int, ...] = (1024, 2048)
    limits: Limits = field(default_factory=lambda: Limits(turns=3))
    spec: ViewSpec = field(default_factory=ViewSpec)
    optimizer: Optimizer | None = None
    stages: tuple[Stage, ...] = ()
    region: Box | None = None


@dataclass(frozen=True)
class Needs:
    data: Path
    job: Job = Job()


def recipe(folder: Path, text: str) -> Path:
    path = folder / "job.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_defaults_alone() -> None:
    assert load_config(Job) == Job()


def test_recipe_beats_defaults_and_override_beats_recipe(tmp_path: Path) -> None:
    path = recipe(tmp_path, 'seed = 1\nseconds = 5\nmodel = "a"\n[limits]\nzooms = 9\n[spec]\ngrow = 2.0\n')
    job = load_config(Job, path, ["seed=2", "limits.tokens=7", "out=/tmp/x", "sizes=[1, 2, 3]"])
    assert job.limits == Limits(turns=3, zooms=9, tokens=7)  # turns: Job's own default, not that of Limits
    assert (job.seed, job.seconds, job.model, job.out, job.sizes) == (2, 5.0, "a", Path("/tmp/x"), (1, 2, 3))
    assert job.spec == ViewSpec(grow=2.0)


def test_tables_in_arrays_and_optional_tables(tmp_path: Path) -> None:
    path = recipe(tmp_path, '[optimizer]\nwarmup = 10\n[[stages]]\nname = "one"\n[stages.optimizer]\nwarmup = 5\n')
    job = load_config(Job, path)
    assert job.optimizer == Optimizer(warmup=10)
    assert job.stages == (Stage("one", Optimizer(rate=1e-3, warmup=5)),)


def test_a_table_as_override_and_the_later_override_wins() -> None:
    job = load_config(Job, None, ["limits={turns = 8, zooms = 1}", "limits.zooms=2"])
    assert job.limits == Limits(turns=8, zooms=2)


def test_deeper_defaults_are_kept() -> None:
    needs = load_config(Needs, None, ["data=d", "job.limits.zooms=1"])
    assert needs == Needs(Path("d"), replace(Job(), limits=Limits(turns=3, zooms=1)))


@given(st.from_regex(r"[A-Za-z0-9_./:+-]*", fullmatch=True))
def test_plain_text_reaches_a_str_field_unchanged(text: str) -> None:
    assert load_config(Job, None, [f"model={text}"]).model == text


@given(st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False), st.booleans())
def test_numbers_reach_their_fields_unchanged(seed: int, seconds: float, resume: bool) -> None:
    items = [f"seed={seed}", f"seconds={seconds}", f"resume={json.dumps(resume)}"]
    assert load_config(Job, None, items) == Job(seed=seed, seconds=seconds, resume=resume)


@pytest.mark.parametrize("text", ["4", "1e5", "true", "2024-01-01", "inf", "a=b", 'say "hi', "1\nseed = 2", ""])
def test_text_that_looks_like_something_else(text: str) -> None:
    assert load_config(Job, None, [f"model={text}"]).model == text


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ("seed=abc", ["seed", "integer", "'abc'"]),
        ("seed=4.5", ["seed", "integer", "4.5"]),
        ("seed=true", ["seed", "integer", "True"]),
        ('seed="4"', ["seed", "integer", "'4'"]),
        ("resume=1", ["resume", "boolean"]),
        ("mode=ppo", ["mode", "'sft' or 'grpo'", "'ppo'"]),
        ("sizes=[1, 'x']", ["sizes.1", "integer", "'x'"]),
        ("sizes=3", ["sizes: ", "such as [3]; got 3 in 'sizes=3'"]),
        ("sizes=3,4", ["sizes: ", "such as [3,4]; got '3,4'"]),
        ("sizes=many", ["sizes: ", "array; got 'many'"]),
        ("limits=4", ["limits", "4"]),
        ("seed.x=4", ["seed", "integer", "{'x': 4}", "'seed.x=4'"]),
        ("stages.name=a", ["stages", "'stages.name=a'"]),
        ("limits.turns=x", ["limits.turns", "'limits.turns=x'"]),
        ("optimizer.betas=[1.0]", ["optimizer.betas"]),
        ("seed", ["key=value", "'seed'"]),
        ("=3", ["key=value"]),
        ("limits.=3", ["key=value"]),
    ],
)
def test_wrong_values_are_named(item: str, words: list[str]) -> None:
    with pytest.raises(InvalidConfig) as caught:
        load_config(Job, None, [item])
    assert all(word in str(caught.value) for word in words), caught.value
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "key", "near"),
    [
        ("sead = 1", "sead", "seed"),
        ("[limits]\nturn = 1", "limits.turn", "limits.turns"),
        ("turns = 1", "turns", "limits.turns"),
        ("[limts]\nturns = 1", "limts", "limits"),
        ('[[stages]]\nname = "a"\n[stages.optimizer]\nlrate = 1', "stages.optimizer.lrate", "stages.optimizer.rate"),
    ],
)
def test_unknown_keys_at_any_depth(tmp_path: Path, text: str, key: str, near: str) -> None:
    path = recipe(tmp_path, text)
    with pytest.raises(InvalidConfig) as caught:
        load_config(Job, path)
    assert f"unknown key '{key}' in {path}" in str(caught.value)
    assert near in str(caught.value).split("nearest known keys: ")[1].split(", ")


def test_unknown_key_in_an_override_names_the_override() -> None:
    with pytest.raises(InvalidConfig, match=r"unknown key 'limits.turn' in 'limits.turn=4'; .*limits\.turns"):
        load_config(Job, None, ["limits.turn=4"])


def test_wrong_value_in_a_recipe_names_the_recipe(tmp_path: Path) -> None:
    path = recipe(tmp_path, 'seed = "x"\nresume = 3\n')
    with pytest.raises(InvalidConfig) as caught:
        load_config(Job, path)
    assert str(caught.value).count(f"in {path}") == 2


def test_required_field() -> None:
    with pytest.raises(InvalidConfig, match="data is required"):
        load_config(Needs)


def test_missing_and_broken_recipes_give_one_line(tmp_path: Path) -> None:
    for path in (tmp_path / "none.toml", tmp_path, recipe(tmp_path, "seed = = 1\n")):
        with pytest.raises(InvalidConfig) as caught:
            load_config(Job, path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
    (tmp_path / "latin.toml").write_bytes('model = "é"'.encode("latin-1"))
    with pytest.raises(InvalidConfig, match="UTF-8"):
        load_config(Job, tmp_path / "latin.toml")


def test_a_value_s_own_refusal_comes_through() -> None:
    with pytest.raises(InvalidBox):
        load_config(Job, None, ["region={x0 = 5, y0 = 0, x1 = 1, y1 = 1}"])


def test_dump_is_plain_data_and_reads_back() -> None:
    job = Job(out=Path("a/b"), optimizer=Optimizer(), stages=(Stage("one"),), region=Box(0, 0, 1, 1))
    data = json.loads(json.dumps(dump_config(job)))
    assert data["out"] == "a/b"
    assert "warmup" not in data["optimizer"]
    items = [f"{key}={_toml(part)}" for key, part in data.items()]
    assert load_config(Job, None, items) == job


def test_replace_fields_for_limits() -> None:
    assert replace_fields(Limits(zooms=9), ["turns=4", "seconds=2"]) == Limits(turns=4, zooms=9, seconds=2.0)
    assert replace_fields(Limits(), []) == Limits()
    with pytest.raises(InvalidConfig, match="unknown key 'turn' in 'turn=4'; nearest known keys: turns"):
        replace_fields(Limits(), ["turn=4"])
    with pytest.raises(InvalidConfig, match="turns: .*integer; got 'many' in 'turns=many'"):
        replace_fields(Limits(), ["turns=many"])


def test_replace_fields_keeps_a_none_that_is_no_default() -> None:
    assert replace_fields(Kept(None), ["b=2"]) == Kept(None, 2)


@dataclass(frozen=True)
class Kept:
    a: int | None = 5
    b: int = 1


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(part)}" for key, part in value.items()) + "}"
    return "[" + ", ".join(map(_toml, value)) + "]" if isinstance(value, list) else json.dumps(value)
