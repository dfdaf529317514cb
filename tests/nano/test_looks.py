"""Attention supervision points at the right tokens, and its scores are those of the model's own attention."""

import numpy as np
import pytest
import torch
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from cof.geometry import ViewSpec
from cof.nano.architecture import make_tokenizer
from cof.nano.lessons import Demonstrations
from cof.nano.looks import COLOUR, SHAPE, VISUAL, look_loss
from cof.nano.recipes import Lesson
from cof.nano.scenes import SceneBatches
from cof.needle.scenes import COLOURS, KINDS


@pytest.fixture(scope="module")
def tokenizer():
    return make_tokenizer()


@pytest.fixture(scope="module")
def batch(tokenizer):
    processor = Qwen2VLImageProcessorPil(do_resize=False)
    return SceneBatches(tokenizer, processor, Demonstrations(ViewSpec(), (Lesson(1),), 0, 2, 5), 0)([{"step": 3}])


def spoken(tokenizer, batch, look):
    """The words that a look points at."""
    row, target = int(batch["dense"]["looks"]["row"][look]), batch["dense"]["looks"]["target"][look]
    return {tokenizer.decode([int(i)]).strip() for i in batch["input_ids"][row][target]}


def test_every_purpose_points_at_its_kind_of_token(tokenizer, batch):
    looks = batch["dense"]["looks"]
    seen = {VISUAL: 0, SHAPE: 0, COLOUR: 0}
    for look, purpose in enumerate(looks["purpose"].tolist()):
        seen[purpose] += 1
        words = spoken(tokenizer, batch, look)
        if purpose == VISUAL:
            assert words == {"<|image_pad|>"}
        elif purpose == SHAPE:
            assert len(words) == 1
            assert words <= {*KINDS, "board"}
        else:
            assert words <= set(COLOURS)
    assert min(seen.values()) > 5


def test_nothing_looks_where_it_may_not(batch):
    looks = batch["dense"]["looks"]
    for row, position, target in zip(looks["row"], looks["position"], looks["target"], strict=True):
        allowed = batch["attention_mask"][row, 0, position]
        assert bool((target & ~allowed).sum() == 0)
        assert bool(target.any())


def at_openings(tokenizer, batch, purpose):
    """Looks with `purpose` from the openings of turns: (row, position, target)."""
    looks, opening = batch["dense"]["looks"], tokenizer.convert_tokens_to_ids("<think>")
    for look in np.flatnonzero(looks["purpose"].numpy() == purpose):
        row, position = int(looks["row"][look]), int(looks["position"][look])
        if int(batch["input_ids"][row, position]) == opening:
            yield row, position, looks["target"][look]


def test_the_decision_to_zoom_looks_at_the_thing_that_is_acted_on(tokenizer, batch):
    """Before a call, at the tokens that the call's first number looks at too."""
    looks, decided = batch["dense"]["looks"], 0
    for row, position, target in at_openings(tokenizer, batch, VISUAL):
        said = tokenizer.decode(batch["input_ids"][row, position : position + 40]).split("<|im_end|>")[0]
        if "bbox_2d" not in said:
            continue
        later = (looks["row"] == row) & (looks["position"] > position) & (looks["purpose"] == VISUAL)
        first = int(later.nonzero()[:, 0][looks["position"][later].argmin()])
        assert torch.equal(looks["target"][first], target)
        decided += 1
    assert decided > 2


def test_a_thing_on_a_board_is_sought_by_its_own_name(tokenizer, batch):
    """Once the board is shown, the name that counts is that of the item: its shape, never the word "board"."""
    ids, checked = batch["input_ids"], 0
    for row, position, target in at_openings(tokenizer, batch, SHAPE):
        said = tokenizer.decode(ids[row, position : position + 40]).split("<|im_end|>")[0]
        word = tokenizer.decode(ids[row][target]).strip()
        if "It is on the" in said:
            assert word == "board"
        elif "<answer>" in said:
            assert word != "board"
            checked += 1
    assert checked > 0


def test_a_written_box_looks_at_tokens_inside_it(tokenizer, batch):
    """The overview's tokens that a box looks at have their centres in or next to the box."""
    looks, checked = batch["dense"]["looks"], 0
    for look in np.flatnonzero(looks["purpose"].numpy() == VISUAL):
        row, position = int(looks["row"][look]), int(looks["position"][look])
        ids = batch["input_ids"][row]
        text = tokenizer.decode(ids[position + 1 : position + 8])
        if not tokenizer.decode([int(ids[position])]).endswith("["):
            continue
        x0, y0, x1, y1 = (int(v) for v in text.split("]")[0].split(", "))
        start = int((ids == tokenizer.convert_tokens_to_ids("<|image_pad|>")).nonzero()[0])
        width = int(batch["image_grid_thw"][0][2]) // 2
        where = looks["target"][look].nonzero()[:, 0] - start
        if int(where.max()) >= width * width:
            continue  # the thing is seen in a crop
        checked += 1
        for token in where.tolist():
            x, y = (token % width) * 28 + 14, (token // width) * 28 + 14
            assert x0 - 28 <= x <= x1 + 28
            assert y0 - 28 <= y <= y1 + 28
    assert checked > 0


def test_loss_is_small_where_attention_is_right():
    """One layer whose queries and keys agree only at the target gives nearly all attention to it."""

    class Attention(torch.nn.Module):
        head_dim = 4

        def __init__(self):
            super().__init__()
            self.q_proj = self.k_proj = torch.nn.Identity()

    layer = torch.nn.Module()
    layer.input_layernorm, layer.self_attn = torch.nn.Identity(), Attention()
    language = torch.nn.Module()
    language.layers = [layer, layer, layer]
    language.rotary_emb = lambda x, _: (torch.ones(*x.shape[:2], 4), torch.zeros(*x.shape[:2], 4))
    states = torch.zeros(1, 3, 8)
    states[0, 1], states[0, 2] = 9.0, 9.0
    batch = {"attention_mask": torch.ones(1, 1, 3, 3, dtype=torch.bool).tril(), "position_ids": torch.zeros(3, 1, 3)}

    def loss(target):
        looks = {
            "purpose": torch.tensor([VISUAL]),
            "row": torch.tensor([0]),
            "position": torch.tensor([1]),
            "target": torch.tensor([target]),
        }
        return look_loss(language, {0: states, 1: states, 2: states}, batch, looks)

    right, seen = loss([False, True, False])
    wrong, _ = loss([True, False, False])
    assert min(seen["look_thing"], seen["look_thing_again"]) > 0.99
    assert right < 0.01 < wrong
