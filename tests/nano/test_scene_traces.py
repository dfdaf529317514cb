"""Supervised scenes from a file of traces about needle scenes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cof.agent.build import build, publish_kept
from cof.agent.sources import Drawn, world_examples
from cof.agent.trajectory import Rules
from cof.data.filters import Filters
from cof.data.sequences import IGNORE
from cof.data.worlds import world_of
from cof.errors import InvalidConfig
from cof.geometry import ViewSpec
from cof.nano.recipes import Dense, NanoSupervisedConfig
from cof.nano.scene_traces import SceneTraces
from cof.nano.scenes import SceneBatches
from cof.needle.experts import Experts
from cof.runs import RunDir
from cof.train.traces import TraceLessons
from tests.train.test_traces import SPEC, lessons, mixed

__all__ = ["lessons"]  # a fixture


def test_needle_scenes_take_no_traces_of_another_dialect(lessons: TraceLessons, tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="trace 1 is in the dialect 'plain', the recipe in 'cof'"):
        _ = SceneTraces(mixed(lessons, tmp_path, dialect="plain"), SPEC, 0, 1, 4).groups


@pytest.mark.parametrize("wrong", [{"dense": Dense()}, {}, {"dense": Dense(), "traces": "t.jsonl"}])
def test_needle_scenes_are_spoken_of_in_cof_alone(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfig, match="dialect = 'plain' is not possible on needle scenes; want dialect = 'cof'"):
        NanoSupervisedConfig("m", "plain", **wrong)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build of the search agent: twelve questions about three scenes."""
    folder = tmp_path_factory.mktemp("build") / "run"
    with RunDir(folder, {}) as run:
        build(
            Experts(0.0), world_examples(world_of("needle"), Drawn(12, per_picture=4), ViewSpec()), Rules(grid=4), run
        )
        publish_kept(run, Filters())
    return folder / "traces.jsonl"


def test_traces_about_one_scene_are_branches_of_one_row(lessons: TraceLessons, built: Path) -> None:
    teacher = SceneTraces(built, ViewSpec(), 0, 1, 4)
    kept = [trace for group in teacher.groups for trace, _ in group]
    batches = SceneBatches(lessons.tokenizer, lessons.processor, teacher, 0)
    learnt = set()
    for step in range(len(teacher.groups)):
        batch = batches([{"step": step}])
        (labels,), (looks,) = batch["labels"], [batch["dense"]["looks"]]
        learnt |= {*lessons.tokenizer.decode(labels[labels != IGNORE]).split("<|im_end|>")}
        assert {"classes", "box", "frame", "looks"} <= batch["dense"].keys()
        assert looks["target"].any(-1).all()
    assert learnt == {turn.completion.text for trace in kept for turn in trace.turns} | {""}


def test_traces_about_other_pictures_have_no_scene(lessons: TraceLessons) -> None:
    with pytest.raises(InvalidConfig, match="about a needle scene"):
        _ = SceneTraces(lessons.file, SPEC, 0, 1, 4).groups
