"""vLLM in this process, spoken to in tokens: for reinforcement's rollouts on a GPU.

A prompt goes in with one placeholder a picture, which vLLM repeats once a visual token, and must come back as it stands in
training. Turns that are wanted at the same time are asked for together. TRL owns the engine and the weights it has. Never run
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
        talks = [_Talk(conversation) for conversation in conversations]
        while asked := [talk for talk in talks if talk.listen(self.codec)]:
            began = time.monotonic()
            heard = self._turns(asked)
            seconds = (time.monotonic() - began) / len(asked)
            for talk, turn in zip(asked, heard, strict=True):
                talk.conversation.receive(turn, seconds)

    def _turns(self, asked: Sequence[_Talk]) -> list[Completion | ModelError]:
        """A turn each. vLLM refuses all prompts of a call for one that is too long: then they are asked one by one."""
        try:
            told = self.engine.generate(
                [self._prompt(talk) for talk in asked],
                sampling_params=[self._sampling(talk) for talk in asked],
                use_tqdm=False,
            )
        except ValueError as error:
            if len(asked) == 1:
                return [ModelError(f"vLLM refused a turn: {error}")]
            return [turn for talk in asked for turn in self._turns([talk])]
        return [self._heard(talk, output) for talk, output in zip(asked, told, strict=True)]

    def _prompt(self, talk: _Talk) -> dict[str, Any]:
        ids, views, pad = talk.prompt.ids, talk.prompt.views, self.codec.image_token
        firsts = set(self.codec.starts(ids, views))
        return {
            "prompt_token_ids": [token for place, token in enumerate(ids) if token != pad or place in firsts],
            "multi_modal_data": {"image": [talk.request.pixels[view] for view in views]},
        }

    def _sampling(self, talk: _Talk) -> Any:
        wanted = talk.request.sampling
        return self.params(
            temperature=wanted.temperature,
            top_p=wanted.top_p,
            seed=wanted.seed + talk.turn,  # else every turn of a conversation would draw the same chances
            max_tokens=wanted.tokens,
            stop_token_ids=sorted(self.ends),
            logit_bias=dict.fromkeys(self.never, NEVER),
            logprobs=0,  # of what was sampled alone
            detokenize=False,
        )

    def _heard(self, talk: _Talk, output: Any) -> Completion | ModelError:
        if (read := tuple(output.prompt_token_ids)) != talk.prompt.ids:
            return ModelError(
                f"vLLM read other tokens ({len(read)}) than training reads ({len(talk.prompt.ids)}); want view rules whose "
                "pictures the model's own image processor leaves at their size"
            )
        (turn,) = output.outputs
        logprobs = [found[token].logprob for token, found in zip(turn.token_ids, turn.logprobs, strict=True)]
        if not all(map(math.isfinite, logprobs)):
            return ModelError("vLLM does not know how likely it found what it sampled")
        talk.said = list(turn.token_ids)
        end = talk.said.pop() if talk.said and talk.said[-1] in self.ends else None
        return talk.prompt.completion(talk.said, end, logprobs, talk.request, self.codec)


class _Talk:
    """A conversation under way: the turn that is wanted, its prompt, and what was `said` after it."""

    request: Request

    def __init__(self, conversation: Conversation) -> None:
        self.conversation, self.prompt, self.said, self.turn = conversation, PromptTokens(), list[int](), 0

    def listen(self, codec: Codec) -> bool:
        """Make ready for the turn that is wanted next; False if none is."""
        while not self.conversation.cancelled and (request := self.conversation.request()) is not None:
            try:
                self.prompt = self.prompt.then(self.said, request, codec)
            except ModelError as error:
                self.conversation.receive(error, 0.0)
            else:
                self.request, self.said, self.turn = request, [], self.turn + 1
                return True
        return False
