"""Dense supervision beside the language loss, so that the language layers do not forget what visual tokens show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from transformers import PreTrainedModel

from cof.errors import InvalidConfig
from cof.nano.architecture import number_tokens
from cof.nano.heads import SOFTNESS, PerceptionHeads, absolute_box_loss
from cof.nano.looks import look_loss
from cof.nano.perception import LARGEST_PLACE
from cof.nano.recipes import Dense
from cof.train.sft import SupervisedTrainer


class DenseHeads(torch.nn.Module):
    """The heads that read visual tokens inside the language model, and their loss."""

    def __init__(self, model: PreTrainedModel, tokenizer: Any, dense: Dense, checkpoint: Path) -> None:
        super().__init__()
        width, layers = model.config.text_config.hidden_size, model.config.text_config.num_hidden_layers
        if not dense.content < dense.look <= layers - 2 or not dense.frame <= layers:
            raise InvalidConfig(
                f"{dense} does not fit {layers} layers; want content < look <= {layers - 2}, frame <= {layers}"
            )
        self.dense = dense
        self.content, self.frame = PerceptionHeads(width, True), PerceptionHeads(width, True)
        if checkpoint.name:
            state = load_file(checkpoint)
            for name, heads in (("content", self.content), ("frame", self.frame)):
                heads.load_state_dict(_under(state, f"dense_heads.{name}.") or _under(state, "language_heads."))
        numbers = {n: t for n, t in number_tokens(tokenizer).items() if n <= LARGEST_PLACE}
        self.values = torch.nn.Buffer(torch.tensor(list(numbers), dtype=torch.float32), persistent=False)
        self.number_ids = torch.nn.Buffer(torch.tensor(list(numbers.values())), persistent=False)

    def loss(
        self, language: Any, seen: dict[int, torch.Tensor], places: torch.Tensor, truth: dict[str, Any]
    ) -> tuple[torch.Tensor, dict[str, float]]:
        """`seen` maps a count of layers of `language` to its hidden states, `places` marks visual tokens."""
        rows = language.embed_tokens.weight[self.number_ids]
        early, late = language.norm(seen[self.dense.content])[places], language.norm(seen[self.dense.frame])[places]
        classes, parts = self.content.class_loss(early, truth)
        local, error = absolute_box_loss(self.content, early, truth["box"], truth["weight"], rows, self.values)
        frame, frame_error = absolute_box_loss(self.frame, late, truth["frame"], truth["weight"], rows, self.values)
        return classes + local + frame, parts | {"box_error": error, "frame_error": frame_error}

    def place_loss(
        self, language: Any, states: Sequence[torch.Tensor], labels: torch.Tensor
    ) -> tuple[torch.Tensor, float]:
        """Cross-entropy of the numbers in trained text against a narrow distribution, and the mean error in pixels.

        `states` are the hidden states after several layers, the last last, each (rows, tokens, width): a place should be
        known as soon as it was looked at. `labels` is (rows, tokens).
        """
        following = labels[:, 1:]
        numbers = (following[..., None] == self.number_ids).any(-1)
        if not numbers.any():
            return states[-1].new_zeros((), dtype=torch.float32), 0.0
        truth = self.values[(following[numbers][:, None] == self.number_ids).float().argmax(-1)]
        target = torch.softmax(-0.5 * ((truth[:, None] - self.values) / SOFTNESS) ** 2, -1)
        table = language.embed_tokens.weight[self.number_ids]
        logits = [(language.norm(state[:, :-1][numbers]) @ table.T).float() for state in states]
        loss = torch.stack([torch.nn.functional.cross_entropy(each, target) for each in logits]).mean()
        return loss, float((self.values[logits[-1].argmax(-1)] - truth).abs().mean())


class DenseTrainer(SupervisedTrainer):
    """Adds the dense supervision of visual tokens to the language loss."""

    heads: DenseHeads

    def __init__(self, config: Dense, checkpoint: Path, model: PreTrainedModel, *args: Any, **kwargs: Any) -> None:
        super().__init__(model, *args, **kwargs)
        self.heads = DenseHeads(model, self.processing_class, config, checkpoint)

    def before_training(self) -> None:
        self.model.dense_heads = self.heads  # so that the optimizer and the checkpoints hold them

    def before_saving(self) -> None:
        del self.model.dense_heads

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,  # noqa: ARG002
        num_items_in_batch: Any = None,
    ) -> Any:
        truth = inputs.pop("dense")
        language, visual = model.model.language_model, inputs["input_ids"] == model.config.image_token_id
        dense, depth = self.heads.dense, len(language.layers)
        with _recorded(
            language.layers, {dense.content, dense.look, dense.frame, *range(dense.look + 1, depth + 1)}
        ) as seen:
            loss = super().compute_loss(model, inputs, False, num_items_in_batch)
        shown, parts = self.heads.loss(language, seen, visual, truth)
        entering = {layer: seen[layer] for layer in (dense.content, dense.look, dense.look + 1)}
        looked, attention = look_loss(language, entering, inputs, truth["looks"])
        after = [seen[count] for count in range(dense.look + 1, depth + 1)]
        placed, place_error = self.heads.place_loss(language, after, inputs["labels"])
        parts |= attention | {"language_loss": float(loss.detach()), "place_error": place_error}
        for name, value in parts.items():
            self._metrics["train"][name].append(value)
        return loss + dense.weight * shown + dense.places * placed + dense.looks * looked


def _under(state: Mapping[str, torch.Tensor], place: str) -> dict[str, torch.Tensor]:
    """The tensors whose names begin with `place`, by what follows it."""
    return {name.removeprefix(place): tensor for name, tensor in state.items() if name.startswith(place)}


@contextmanager
def _recorded(layers: torch.nn.ModuleList, counts: set[int]) -> Iterator[dict[int, torch.Tensor]]:
    """Collects the hidden states after the first `counts` layers while the block runs."""
    seen: dict[int, torch.Tensor] = {}

    def keep(count: int) -> Any:
        return lambda _module, _inputs, output: seen.__setitem__(
            count, output[0] if isinstance(output, tuple) else output
        )

    hooks = [layers[count - 1].register_forward_hook(keep(count)) for count in counts]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()
