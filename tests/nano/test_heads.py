"""Dense heads are taken from a checkpoint of perception, or from one of the stage that uses them."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from cof.models.local.model import LocalModel
from cof.nano.dense import DenseHeads
from cof.nano.recipes import Dense


@pytest.mark.parametrize(
    ("prefix", "taken"), [("dense_heads.", ("content", "frame")), ("language_heads.", ("content", "content"))]
)
def test_heads_are_those_of_the_checkpoint(tmp_path, prefix, taken):
    model = LocalModel.load("nano", device="cpu")

    def heads(checkpoint=Path()):
        return DenseHeads(model.network, model.codec.tokenizer, Dense(), checkpoint)

    theirs = heads()
    source = theirs if prefix == "dense_heads." else theirs.content
    save_file({prefix + name: tensor for name, tensor in source.state_dict().items()}, tmp_path / "heads.safetensors")
    ours = heads(tmp_path / "heads.safetensors")
    for own, name in zip((ours.content, ours.frame), taken, strict=True):
        for key, tensor in getattr(theirs, name).state_dict().items():
            torch.testing.assert_close(own.state_dict()[key], tensor, rtol=0, atol=0)
