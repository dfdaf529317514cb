"""A step of GRPO on rollouts of the focus loop, as TRL's GRPOTrainer.

TRL owns the loop: which question comes when, the clipped loss and its KL to the start (low-variance estimator), optimizer,
checkpoints. Ours are the rollouts (`rollouts.py`), their rewards over whole groups (`scoring/rewards.py`) and their
log-probabilities (`policy.py`). Loss falls on sampled tokens only. A group whose rollouts all earn the same teaches nothing: it
is counted, and skipped.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate.utils import gather_object
from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer

from cof.data.example import Example
from cof.dialects.named import dialect_of
from cof.errors import ModelError
from cof.loop.setting import Setting
from cof.models.base import Model
from cof.models.local.model import LocalModel
from cof.models.opening import ModelRef, open_model
from cof.models.vllm import VllmModel
from cof.runs import Journal
from cof.scoring.judge import judged
from cof.scoring.rewards import Rollout, advantages_of, graded, parts, total
from cof.trace import Trace
from cof.train.policy import Packed, learnt_tokens, loss_inputs, score
from cof.train.progress import Curves, Loaded
from cof.train.prompts import Prompts
from cof.train.reinforce import ReinforceConfig
from cof.train.rollouts import Episode, play
from cof.train.sft import lora
from cof.train.watch import Watch, mean, measures
from cof.types import Sampling, Stop

Show = Callable[[int, Sequence[Trace]], None]


class FocusTrainer(Loaded, GRPOTrainer):
    """GRPOTrainer whose rollouts are sessions of the focus loop."""

    _buffered_inputs: list[dict[str, Any]] | None

    def __init__(
        self,
        config: ReinforceConfig,
        start: LocalModel,
        network: Any,
        arguments: GRPOConfig,
        prompts: Prompts,
        show: Show,
    ) -> None:
        super().__init__(
            network,
            _given_elsewhere,
            args=arguments,
            train_dataset=Dataset.from_dict({"index": range(config.steps * config.groups)}),
            processing_class=start.codec.tokenizer,
            callbacks=[Curves(Path(arguments.output_dir)), Watch()],
            peft_config=lora(config.lora_rank, config.freeze_vision) if config.lora_rank else None,
        )
        bare = self.model.get_base_model() if config.lora_rank else self.model
        never = start.engine.bundle.never
        codec, seats = start.codec, config.seats
        self.player = LocalModel(start.name, bare, codec.tokenizer, codec.processor, start.card, seats)
        self.config, self.prompts, self.show, self.never = config, prompts, show, never
        self.judge = _judge(config)
        self.packed: Packed | None = None
        self.drawn: torch.Tensor | None = None

    def _prepare_inputs(self, generation_batch: Any) -> dict[str, Any]:
        """One pass of the step under way; at its first the rollouts are made, for all of them."""
        at = self._step % self.args.steps_per_generation
        if at == 0 or self._buffered_inputs is None:
            self._buffered_inputs = list(self._passes(generation_batch))
        return self._buffered_inputs[at]

    def _passes(self, rows: Sequence[Mapping[str, int]]) -> Iterator[dict[str, Any]]:
        """What each pass of a step learns from; `rows` name this process's share of the rollouts by question."""
        began, passes = time.perf_counter(), self.args.steps_per_generation
        episodes = self._play(rows)
        played = time.perf_counter()
        earned = self._reward([episode.trace for episode in episodes])
        advantages = torch.tensor([each or 0.0 for each in earned], device=self.accelerator.device)
        self._note({"seconds/rollout": played - began, "seconds/reward": time.perf_counter() - played})
        masks = learnt_tokens(episodes, earned)
        own = torch.tensor(sum(int(mask.sum()) for mask in masks), device=self.accelerator.device)
        learnt, size = self.accelerator.gather(own).sum(), len(episodes) // passes
        for part in (slice(n * size, (n + 1) * size) for n in range(passes)):
            inputs = self._inputs(episodes[part], masks[part])
            yield inputs | {"advantages": advantages[part], "num_items_in_batch": learnt}

    def _play(self, rows: Sequence[Mapping[str, int]]) -> list[Episode]:
        """A rollout for each row, with a seed of its own whatever process plays it."""
        config, first, prompts = self.config, self.accelerator.process_index * len(rows), dict[int, Example]()
        asked = list[tuple[Example, int]]()
        for place, index in enumerate((row["index"] for row in rows), first):
            if index not in prompts:
                prompts[index] = self.prompts(index)
            seed = np.random.SeedSequence([config.seed, index, place % config.group]).generate_state(1)[0]
            asked.append((prompts[index], int(seed)))
        self.player.network.eval()
        if config.vllm:
            self.vllm_generation.sync_weights()
        episodes = play(self._speaker(), asked, rollout_setting(config))
        self.player.network.train()
        return episodes

    def _speaker(self) -> Model:
        """What plays the rollouts: our engine on the network itself, or vLLM, which TRL started, on its copy."""
        if not self.config.vllm:
            return self.player
        from vllm import SamplingParams

        bundle, engine = self.player.engine.bundle, self.vllm_generation.llm
        return VllmModel(self.player.name, engine, SamplingParams, bundle.codec, bundle.ends, bundle.never)

    def _reward(self, traces: Sequence[Trace]) -> list[float | None]:
        """The advantage of each of this process's rollouts, from the rewards of whole groups; None: nothing is learnt.

        Raises ModelError, in all processes, where the model failed in every rollout.
        """
        config, step = self.config, self.state.global_step
        everyone: list[Rollout] = gather_object(self._graded(traces))
        if all(one.trace.stop is Stop.FAILED for one in everyone):
            raise ModelError(f"every rollout failed: {everyone[0].trace.error}; see whether the model can answer")
        advantages = list[float | None]()
        for first in range(0, len(everyone), config.group):
            group = everyone[first : first + config.group]
            values = parts(group, config.rewards)
            sums = total(values, config.rewards)
            own = advantages_of(sums, config.scale)
            advantages += own
            self._note({f"rewards/{name}": mean(column) for name, column in values.items()})
            self._note({"reward": mean(sums), "signal": float(any(each is not None for each in own))})
        self._note(measures(everyone) | {"processes": self.accelerator.num_processes})
        if step % config.show_every == 0 and self.accelerator.is_main_process:
            self.show(step, [one.trace for one in everyone[: config.group]])
        first = self.accelerator.process_index * len(traces)
        return advantages[first : first + len(traces)]

    def _graded(self, traces: Sequence[Trace]) -> list[Rollout]:
        if self.judge is None:
            return [graded(trace) for trace in traces]
        with closing(
            Journal(Path(self.args.output_dir) / f"verdicts-{self.accelerator.process_index}.jsonl")
        ) as journal:
            scored = judged(self.judge, [(trace.question, trace.answer) for trace in traces], journal)
        return [graded(trace, scored) for trace in traces]

    def _inputs(self, episodes: Sequence[Episode], masks: Sequence[np.ndarray]) -> dict[str, Any]:
        """The tensors of one pass as TRL's loss takes them; what is not learnt from is not read by the network."""
        inputs = loss_inputs(episodes, masks, self.player.codec, self.config.branches, self.accelerator.device)
        if self.config.vllm:  # another engine's rounding: the clipped ratio is to what it drew from
            inputs["old_per_token_logps"] = inputs["drawn"]
        if self.beta:
            with torch.no_grad(), self.accelerator.autocast(), self._reference() as reference:
                shape = inputs["completion_mask"].shape
                inputs["ref_per_token_logps"] = self._score(reference, inputs["packed"], shape)[0]
        return inputs

    @contextmanager
    def _reference(self) -> Iterator[Any]:
        """The network as it was at the start."""
        if self.ref_model is not None:
            yield self.ref_model
        else:
            with self.accelerator.unwrap_model(self.model).disable_adapter():
                yield self.model

    def _score(self, network: Any, packed: Packed, shape: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        return score(network, packed, (shape[0], shape[1]), self.config.temperature, self.never)

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Any:
        self.packed, self.drawn = inputs["packed"], inputs["drawn"]
        return super()._compute_loss(model, inputs)

    def _get_per_token_logps_and_entropies(
        self, model: Any, input_ids: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor, None]:
        """What TRL's loss asks for, of the rollouts of the pass: (rollouts, tokens after the prompt) each."""
        assert self.packed is not None
        assert self.drawn is not None
        with self.accelerator.autocast():
            said, entropy = self._score(model, self.packed, input_ids.shape)
        sampled = self.drawn != 0
        apart = (said.detach() - self.drawn)[sampled & (said != 0)].abs()
        self._note({"sampler_difference": float(apart.mean()) if len(apart) else None})
        return said, entropy, None

    def _note(self, metrics: Mapping[str, float | None]) -> None:
        for name, value in metrics.items():
            self._metrics["train"][name].append(math.nan if value is None else value)


def rollout_setting(config: ReinforceConfig) -> Setting:
    """How rollouts are run, but for what their example decides."""
    sampling = Sampling(config.temperature, tokens=config.tokens)
    return Setting(limits=config.limits, sampling=sampling, dialect=dialect_of(config.dialect))


def _given_elsewhere(**_: Any) -> list[float]:
    """TRL wants a reward function; ours see whole groups, in `FocusTrainer._reward`."""
    raise NotImplementedError


def _judge(config: ReinforceConfig) -> Model | None:
    """The model that scores answers which cannot be read, where the recipe has one."""
    if not config.judge:
        return None
    key_file = Path(config.judge_key_file) if config.judge_key_file else None
    return open_model(ModelRef(config.judge_model, (config.judge,), key_file=key_file))
