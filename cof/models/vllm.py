"""vLLM in this process, with prompts and completions as tokens: for the rollouts of GRPO on a GPU.

A prompt has one placeholder per picture, which vLLM repeats once per visual token, and must come back as training reads it.
Turns that are wanted at the same time are generated together. TRL owns the engine and the weights it has. Never run
on vLLM itself, for want of a GPU: `tests/models/test_vllm.py` puts transformers' own generation in its place. Names and limits
are those of vLLM 0.30.0.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from cof.errors import ModelError
from cof.models.base import Conversation, ModelInfo, Request
from cof.models.encoding import Codec, PromptTokens
from cof.types import Completion

NEVER = -100.0  # added to the logit of a token that must not be sampled: e**-100 as likely as it was


class VllmModel:
    """Continues conversations on `engine`, a `vllm.LLM` whose log-probabilities are the processed ones; `params` is
    `vllm.SamplingParams`. `ends` are the tokens that end a turn, `never` are not sampled. All conversations are taken at once.
    """

    def __init__(
        self,
        name: str,
        engine: Any,
        params: Callable[..., Any],
        codec: Codec,
        ends: Iterable[int],
        never: Iterable[int],
    ) -> None:
        self.info, self.engine, self.params, self.codec = ModelInfo(name), engine, params, codec
        self.ends, self.never = frozenset(ends), tuple(never)

    def converse(self, conversations: Iterable[Conversation]) -> None:
        sequences = [_Sequence(conversation) for conversation in conversations]
        while batch := [sequence for sequence in sequences if sequence.prepare(self.codec)]:
            began = time.monotonic()
            completions = self._completions(batch)
            seconds = (time.monotonic() - began) / len(batch)
            for sequence, completion in zip(batch, completions, strict=True):
                sequence.conversation.receive(completion, seconds)

    def _completions(self, batch: Sequence[_Sequence]) -> list[Completion | ModelError]:
        """A completion per sequence. vLLM refuses all prompts of a call for one that is too long: then each gets a call."""
        try:
            outputs = self.engine.generate(
                [self._prompt(sequence) for sequence in batch],
                sampling_params=[self._sampling(sequence) for sequence in batch],
                use_tqdm=False,
            )
        except ValueError as error:
            if len(batch) == 1:
                return [ModelError(f"vLLM refused a turn: {error}")]
            return [completion for sequence in batch for completion in self._completions([sequence])]
        return [self._completion(sequence, output) for sequence, output in zip(batch, outputs, strict=True)]

    def _prompt(self, sequence: _Sequence) -> dict[str, Any]:
        ids, views, pad = sequence.prompt.ids, sequence.prompt.views, self.codec.image_token
        firsts = set(self.codec.starts(ids, views))
        return {
            "prompt_token_ids": [token for place, token in enumerate(ids) if token != pad or place in firsts],
            "multi_modal_data": {"image": [sequence.request.pixels[view] for view in views]},
        }

    def _sampling(self, sequence: _Sequence) -> Any:
        wanted = sequence.request.sampling
        return self.params(
            temperature=wanted.temperature,
            top_p=wanted.top_p,
            seed=wanted.seed + sequence.turn,  # else every turn of a conversation would draw the same chances
            max_tokens=wanted.tokens,
            stop_token_ids=sorted(self.ends),
            logit_bias=dict.fromkeys(self.never, NEVER),
            logprobs=0,  # of what was sampled alone
            detokenize=False,
        )

    def _completion(self, sequence: _Sequence, output: Any) -> Completion | ModelError:
        if (read := tuple(output.prompt_token_ids)) != sequence.prompt.ids:
            return ModelError(
                f"vLLM read other tokens ({len(read)}) than training reads ({len(sequence.prompt.ids)}); want view rules whose "
                "pictures the model's own image processor leaves at their size"
            )
        (turn,) = output.outputs
        logprobs = [found[token].logprob for token, found in zip(turn.token_ids, turn.logprobs, strict=True)]
        if not all(map(math.isfinite, logprobs)):
            return ModelError("vLLM does not know how likely it found what it sampled")
        sequence.sampled = list(turn.token_ids)
        end = sequence.sampled.pop() if sequence.sampled and sequence.sampled[-1] in self.ends else None
        return sequence.prompt.completion(sequence.sampled, end, logprobs, sequence.request, self.codec)


class _Sequence:
    """A conversation under way: the `request` for a turn, its `prompt`, the tokens `sampled` after it, and the number of the
    turn."""

    request: Request

    def __init__(self, conversation: Conversation) -> None:
        self.conversation, self.prompt, self.sampled, self.turn = conversation, PromptTokens(), list[int](), 0

    def prepare(self, codec: Codec) -> bool:
        """Make ready for the turn that is wanted next; False if none is."""
        while not self.conversation.cancelled and (request := self.conversation.request()) is not None:
            try:
                self.prompt = self.prompt.then(self.sampled, request, codec)
            except ModelError as error:
                self.conversation.receive(error, 0.0)
            else:
                self.request, self.sampled, self.turn = request, [], self.turn + 1
                return True
        return False
