import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import Qwen2_5_VLForConditionalGeneration

from cof.dialects.cof import COF
from cof.errors import InvalidRun
from cof.models.local.model import CARD, LocalModel
from cof.models.named import EMBEDDED, embedded_folder
from cof.nano.architecture import make_nano, make_tokenizer, number_tokens, pack
from cof.needle.world import NEEDLE
from tests.data.test_sequences import TINY_TEXT, TINY_VISION
from tests.properties import cases

TOKENIZER = make_tokenizer()


@given(st.text())
@settings(max_examples=cases(500), deadline=None)
def test_any_text_survives_the_tokenizer(text):
    assert TOKENIZER.decode(TOKENIZER(text, add_special_tokens=False).input_ids) == text


def test_fixed_sentences_and_places_are_one_token():
    for text in (COF.system, COF.closer, COF.answer_now, "0", "448", "1276"):
        assert len(TOKENIZER(text, add_special_tokens=False).input_ids) == 1


def test_near_numbers_start_near(tmp_path):
    make_nano(tmp_path, 0, TINY_TEXT, TINY_VISION)
    table = Qwen2_5_VLForConditionalGeneration.from_pretrained(tmp_path).get_input_embeddings().weight
    ids = number_tokens(TOKENIZER)
    like = torch.nn.functional.cosine_similarity
    assert like(table[ids[200]], table[ids[204]], 0) > like(table[ids[200]], table[ids[240]], 0)


@pytest.mark.parametrize("name", EMBEDDED)
def test_an_embedded_model_is_small_and_of_the_named_architecture(name):
    folder, model = embedded_folder(name), LocalModel.load(name)
    assert json.loads((folder / "config.json").read_text())["architectures"] == ["Qwen2_5_VLForConditionalGeneration"]
    assert sum(f.stat().st_size for f in folder.iterdir()) < 20_000_000
    assert json.loads((folder / CARD).read_text())["world"] == NEEDLE
    assert sum(p.numel() for p in model.network.parameters()) < 10_000_000


def test_cof_nano_loads_by_default_and_is_not_its_supervised_start():
    nano = LocalModel.load()
    assert nano.info.name == "nano"
    assert nano.info.fingerprint != LocalModel.load("nano-sft").info.fingerprint
    one, other = ({path.name: path.read_bytes() for path in embedded_folder(name).iterdir()} for name in EMBEDDED)
    assert {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)} == {"model.safetensors"}


def test_a_packed_model_answers_as_the_trained_one_does_but_for_rounding(tmp_path):
    make_nano(tmp_path / "model", 0, TINY_TEXT, TINY_VISION)
    pack(tmp_path / "model", tmp_path / "packed")
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("model", "packed")]
    assert 1.9 < sizes[0] / sizes[1] < 2.1
    one, two = (
        Qwen2_5_VLForConditionalGeneration.from_pretrained(tmp_path / n, dtype="float32") for n in ("model", "packed")
    )
    ids = torch.tensor([TOKENIZER("What letter is on the red circle?").input_ids])
    torch.testing.assert_close(one(ids).logits, two(ids).logits, atol=0.05, rtol=0.05)


def test_what_is_no_trained_model_is_refused(tmp_path):
    with pytest.raises(InvalidRun, match="model.safetensors"):
        pack(tmp_path, tmp_path / "packed")
