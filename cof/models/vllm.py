"""vLLM in this process, spoken to in tokens: for reinforcement's rollouts on a GPU.

A prompt goes in with one placeholder a picture, which vLLM repeats once a visual token, and must come back as it stands in
training. Turns that are wanted at the same time are asked for together. TRL owns the engine and the weights it has. Never run
on vLLM itself, for want of a GPU: `tests/models/test_vllm.py` holds it to transformers' own generation, called as vLLM is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from cof.errors import ModelError
from cof.models.base import Conversation, Request
from cof.models.encoding import Codec, Prompt
from cof.types import Completion

NEVER = -100.0  # added to the logit of a token that must not be sampled, the least that vLLM takes
LARGEST_SEED = 2**63


class VllmModel:
    """Continues conversations on `engine`, a `vllm.LLM` whose log-probabilities are the processed ones; `params` is
    `vllm.SamplingParams`. `ends` are the tokens that end a turn, `never` are not sampled.
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
        self.name, self.engine, self.params, self.codec = name, engine, params, codec
        self.ends, self.never = frozenset(ends), tuple(never)

    def converse(self, conversations: Iterable[Conversation]) -> None:
        talks = [_Talk(conversation) for conversation in conversations]
        while asked := [talk for talk in talks if talk.listen(self.codec)]:
            began = time.monotonic()
            told = self.engine.generate(
                [self._prompt(talk) for talk in asked],
                sampling_params=[self._sampling(talk) for talk in asked],
                use_tqdm=False,
            )
            seconds = (time.monotonic() - began) / len(asked)
            for talk, output in zip(asked, told, strict=True):
                talk.conversation.hear(self._heard(talk, output), seconds)

    def _prompt(self, talk: _Talk) -> dict[str, Any]:
        pictures = [talk.request.pixels[view] for view in talk.prompt.views]
        return {"prompt_token_ids": self.codec.folded(talk.prompt), "multi_modal_data": {"image": pictures}}

    def _sampling(self, talk: _Talk) -> Any:
        wanted = talk.request.sampling
        return self.params(
            temperature=wanted.temperature,
            top_p=wanted.top_p,
            seed=(wanted.seed + talk.turn) % LARGEST_SEED,
            max_tokens=wanted.tokens,
            stop_token_ids=sorted(self.ends),
            logit_bias=dict.fromkeys(self.never, NEVER),
            logprobs=0,  # of what was sampled alone
            detokenize=False,
        )

    def _heard(self, talk: _Talk, output: Any) -> Completion | ModelError:
        if (read := tuple(output.prompt_token_ids)) != talk.prompt.ids:
            return ModelError(
                f"vLLM read {len(read)} tokens where training reads {len(talk.prompt.ids)}; want view rules whose pictures "
                "the model's own image processor leaves at their size"
            )
        (turn,) = output.outputs
        said = list(turn.token_ids)
        end = said.pop() if said and said[-1] in self.ends else None
        talk.said = said
        logprobs = [found[token].logprob for token, found in zip(turn.token_ids, turn.logprobs, strict=True)]
        return talk.prompt.completion(said, end, logprobs, talk.request, self.codec)


class _Talk:
    """A conversation under way: the turn that is wanted, its prompt, and what was `said` after the one before."""

    request: Request

    def __init__(self, conversation: Conversation) -> None:
        self.conversation, self.prompt, self.said, self.turn = conversation, Prompt(), list[int](), 0

    def listen(self, codec: Codec) -> bool:
        """Make ready for the turn that is wanted next; False if none is."""
        while not self.conversation.gone and (request := self.conversation.request()) is not None:
            try:
                self.prompt = self.prompt.then(self.said, request, codec)
            except ModelError as error:
                self.conversation.hear(error, 0.0)
            else:
                self.request, self.turn = request, self.turn + 1
                return True
        return False
