import itertools
import json

import pytest

from cof.errors import InputError
from cof.geometry import ViewSpec
from cof.needle.samples import jpeg_of, samples, write
from cof.scoring.answers import exact
from cof.vision.load import load


def test_same_seed_same_samples():
    one, two = (list(samples("test", 4, 6, 448)) for _ in range(2))
    assert [s.question for s in one] == [s.question for s in two]
    assert jpeg_of(one[0]) == jpeg_of(two[0])


def test_splits_and_seeds_share_no_scene():
    runs = [samples(split, seed, 5, 448) for split in ("train", "validation", "test") for seed in (0, 1)]
    found = [s.question.id for run in runs for s in run]
    assert len(set(found)) == len(found)


def test_every_depth_and_category_occurs():
    found = list(samples("test", 0, 150, 1792))
    kinds = {(s.question.category, s.question.depth) for s in found}
    assert kinds >= {("direct_attributes", d) for d in (0, 1, 2)} | {("relative_position", d) for d in (0, 1)}


def test_open_and_multiple_choice_ask_the_same():
    for plain, options in zip(
        samples("test", 2, 10, 448), samples("test", 2, 10, 448, multiple_choice=True), strict=True
    ):
        assert plain.question.text == options.question.text
        assert options.question.choices.count(options.question.answer) == 1


def test_gold_scores_one_and_empty_zero():
    for sample in samples("test", 1, 50, 1792):
        assert exact(sample.question.answer, sample.question.answer) == 1.0
        assert exact("", sample.question.answer) == exact(None, sample.question.answer) == 0.0


def test_targets_lie_in_the_picture():
    for sample in samples("test", 3, 40, 1000):
        for box in sample.question.targets:
            assert 0 <= box.x0 < box.x1 <= 1000
            assert 0 <= box.y0 < box.y1 <= 1000


def test_disk_layout_is_that_of_vstar(tmp_path):
    assert write(samples("test", 5, 8, 448), tmp_path) == 8
    files = sorted(tmp_path.glob("*/*.json"))
    assert len(files) == 8
    for file in files:
        assert file.parent.name in ("direct_attributes", "relative_position")
        record = json.loads(file.read_text())
        assert len(record["target_object"]) == len(record["bbox"])
        assert len(record["options"]) in (2, 4)
        picture = load(file.with_suffix(".jpg"))
        for x, y, w, h in record["bbox"]:
            assert x + w <= picture.width + 1
            assert y + h <= picture.height + 1
    asked = {s.question.id: s for s in samples("test", 5, 8, 448)}
    assert all(asked[f.stem].question.answer == json.loads(f.read_text())["options"][0] for f in files)


@pytest.mark.parametrize("side", [0, -5, 10**9])
def test_a_bad_side_is_refused(side):
    with pytest.raises(InputError, match="want 28 to"):
        next(samples("test", 0, 1, side))


def test_a_larger_budget_needs_fewer_zooms():
    def mean(tokens):
        spec = ViewSpec(max_pixels=tokens * 28 * 28)
        return sum(s.question.depth for s in samples("test", 6, 60, 3840, spec)) / 60

    assert mean(4096) < mean(64)


def test_samples_are_made_one_by_one():
    assert len(list(itertools.islice(samples("test", 0, 10**9, 224), 3))) == 3
