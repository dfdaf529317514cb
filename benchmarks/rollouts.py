"""What our rollouts are worth against those of TRL's own generation loop, and what a step of reinforcement spends them on.

Both play the same needle questions with one checkpoint, on the CPU, in groups, sampled. TRL's loop is its GRPOTrainer with
an environment of one tool, which sends crops as pictures; behind the tool stands our `Session`, and the chat template
writes its replies as our dialect does, so that both models read the same. Prints rollouts a second and their ratio, tokens
read a rollout, what the rollouts did, and the seconds of a step's parts. Omits TRL's setting up of environments from its
time.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from transformers import ProcessorMixin
from transformers.models.qwen2_5_vl.processing_qwen2_5_vl import Qwen2_5_VLProcessor
from trl import GRPOConfig, GRPOTrainer
from trl.chat_template_utils import qwen3_template

from cof.data.example import Example
from cof.data.worlds import world_of
from cof.dialects.cof import COF
from cof.loop.session import Session
from cof.loop.setting import Setting
from cof.models.local.model import LocalModel
from cof.scoring.rewards import Rollout, graded
from cof.train.grpo import train_reinforced
from cof.train.progress import read_metrics
from cof.train.prompts import WorldPrompts
from cof.train.reinforce import ReinforceConfig
from cof.train.rollouts import play
from cof.train.watch import measures
from cof.types import Completion, Limits, Sampling

STEPS = ReinforceConfig(  # what is played, and how; the first step warms up
    "nano",
    sides=(1792,),
    budgets=(256,),
    seed=1,
    steps=3,
    groups=8,
    group=8,
    accumulate=4,
    seats=16,
    temperature=1.0,
    tokens=96,
    limits=Limits(turns=4),
    freeze_vision=False,
)
SETTING = Setting(limits=STEPS.limits, sampling=Sampling(STEPS.temperature, tokens=STEPS.tokens))
ROLLOUTS = STEPS.groups * STEPS.group
WHOLE = 2048  # tokens that TRL lets a rollout take after its question: more than its turns and crops have
SPEAKS = "<|im_start|>assistant\n"
TEMPLATE = (  # the checkpoint's own, which knows no tools, and a tool that speaks as a user
    "{% for m in messages %}<|im_start|>{{ 'user' if m['role'] == 'tool' else m['role'] }}\n"
    "{% if m['role'] == 'assistant' %}{% generation %}"
    "{% for p in m['content'] %}{{ p['text'] }}{% endfor %}"
    "{% for c in m['tool_calls'] or [] %}<tool_call>{{ c['function'] | tojson }}</tool_call>{% endfor %}"
    "<|im_end|>\n{% endgeneration %}{% else %}"
    "{% for p in m['content'] %}"
    "{% if p['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ p['text'] }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@dataclass(frozen=True)
class Played:
    """What one side did: its rollouts, `seconds` and `read` tokens for all, and the first tokens that each read."""

    rollouts: Sequence[Rollout]
    seconds: float
    read: int
    asked: Sequence[Sequence[int]]


class PictureProcessor(Qwen2_5_VLProcessor):
    """The family's processor for pictures and text alone: its own asks for torchvision, to read videos."""

    def __init__(self, image_processor: Any, tokenizer: Any) -> None:
        self.image_token, self.video_token = "<|image_pad|>", "<|video_pad|>"
        self.image_token_id, self.video_token_id = tokenizer.convert_tokens_to_ids([self.image_token, self.video_token])
        ProcessorMixin.__init__(self, image_processor, tokenizer, chat_template=TEMPLATE)


class Looking:
    """One rollout of TRL: a session of ours that is spoken to through a tool. What is public here TRL calls or offers."""

    def __init__(self, prompts: Sequence[Example]) -> None:
        self._prompts = prompts

    def reset(self, index: int, **_: Any) -> list[dict[str, Any]]:
        prompt = self._prompts[index]
        self._session = Session("trl", prompt.question, (prompt.picture,), replace(SETTING, spec=prompt.spec))
        return self._told()

    def image_zoom_in_tool(self, bbox_2d: list[float], label: str = "") -> list[dict[str, Any]]:
        """Shows a part of the picture more closely.

        Args:
            bbox_2d: The part, as [x1, y1, x2, y2] in pixels of the first picture.
            label: What is looked for.
        """
        call = COF.tool, json.dumps({"bbox_2d": bbox_2d, "label": label})
        self._session.receive(Completion(COF.join("", "", [call])), 0.0)
        return self._told()

    def get_reward(self) -> float:
        return self._rollout.right or 0.0

    def _told(self) -> list[dict[str, Any]]:
        """The last that the session said, as content blocks."""
        request = self._session.request()
        assert request is not None
        parts, pixels = request.messages[-1].parts, request.pixels
        return [
            {"type": "text", "text": part} if isinstance(part, str) else {"type": "image", "image": pixels[part]}
            for part in parts
        ]

    def _end(self, text: str) -> None:
        """Hear the turn after which TRL ran no tool."""
        self._session.receive(Completion(text), 0.0)
        self._rollout = graded(self._session.trace)


class Measured(GRPOTrainer):
    """TRL's trainer as it is, with a clock on its rollouts and a count of the tokens that they read, padding left out."""

    def _generate(self, prompts: list[Any]) -> Any:
        self.read, began = 0, time.perf_counter()
        made = super()._generate(prompts)
        self.seconds, self.asked = time.perf_counter() - began, made[0]
        for environment, ids in zip(self.environments, made[1], strict=True):
            environment._end(self._tokenizer.decode(ids).rpartition(SPEAKS)[2])
        return made

    def _generate_single_turn(self, prompt_ids: list[list[int]], *rest: Any, **named: Any) -> Any:
        self.read += sum(map(len, prompt_ids))
        return super()._generate_single_turn(prompt_ids, *rest, **named)


def main() -> None:
    ours, theirs = _ours(), _theirs()
    fast, slow = (len(side.rollouts) / side.seconds for side in (ours, theirs))
    same = np.mean([a == b for a, b in zip(ours.asked, theirs.asked, strict=True)])
    print(f"TRL   {slow:.2f} rollouts a second; {_did(theirs)}")
    print(f"ours  {fast:.2f} rollouts a second, {fast / slow:.1f} times as many; {_did(ours)}")
    print(f"questions that were the same tokens to both {same:.3f}")
    print(f"seconds of a step of {ROLLOUTS} rollouts: {_split()}")


def _ours() -> Played:
    """Our rollouts; the last question is for warming up."""
    model = LocalModel.load("nano", device="cpu", batch=STEPS.seats)
    *asked, first = ([(prompt, seed) for seed in range(STEPS.group)] for prompt in _prompts(model))
    play(model, first, SETTING)
    before, began = model.usage.prefilled, time.perf_counter()
    episodes = play(model, [one for group in asked for one in group], SETTING)
    seconds, read = time.perf_counter() - began, model.usage.prefilled - before
    told = [episode.ids[: episode.prompt].tolist() for episode in episodes]
    return Played([graded(episode.trace) for episode in episodes], seconds, read, told)


def _theirs() -> Played:
    """TRL's rollouts of the same; without a KL term, and learning from what was just made, it adds no pass of its own."""
    opening = [{"role": "system", "content": COF.system}, {"role": "user", "content": ""}]
    rows = [{"prompt": opening, "index": n} for n in range(STEPS.groups + 1) for _ in range(STEPS.group)]
    with tempfile.TemporaryDirectory() as out:
        trainer = _trainer(rows, out)
        trainer.model.train()
        trainer._generate_and_score_completions(rows[ROLLOUTS:])
        trainer._generate_and_score_completions(rows[:ROLLOUTS])
    rollouts = [environment._rollout for environment in trainer.environments]
    return Played(rollouts, trainer.seconds, trainer.read, trainer.asked)


def _trainer(rows: list[dict[str, Any]], out: str) -> Measured:
    model = LocalModel.load("nano", device="cpu")
    tokenizer = model.codec.tokenizer
    tokenizer.response_template = qwen3_template  # how TRL is to read calls; it knows no template but its own
    arguments = GRPOConfig(
        out,
        per_device_train_batch_size=ROLLOUTS,
        num_generations=STEPS.group,
        temperature=STEPS.temperature,
        max_completion_length=WHOLE,
        max_tool_calling_iterations=STEPS.limits.turns,  # and a turn after the last, as our loop asks once for the answer
        generation_kwargs={"max_new_tokens": STEPS.tokens, "suppress_tokens": list(model.engine.bundle.never)},
        gradient_checkpointing=False,
        bf16=False,
        use_cpu=True,
        report_to=[],
    )
    pictures = model.codec.processor
    pictures.do_resize = True  # TRL tries the template with a picture of 8 x 8 pixels, less than a token
    trainer = Measured(
        model.network,
        args=arguments,
        train_dataset=Dataset.from_list(rows),
        processing_class=PictureProcessor(pictures, tokenizer),
        environment_factory=partial(Looking, _prompts(model)),
    )
    pictures.do_resize = False
    return trainer


def _prompts(model: LocalModel) -> list[Example]:
    """The questions, and one more to warm up with; anew for each side, which neither may have rendered or read before."""
    prompts = WorldPrompts(world_of("needle"), model.card.spec, STEPS.seed, STEPS.sides, STEPS.budgets, STEPS.depths)
    return [prompts(n) for n in range(STEPS.groups + 1)]


def _did(side: Played) -> str:
    did, zoomed = measures(side.rollouts), np.mean([one.trace.zooms > 0 for one in side.rollouts])
    return f"{side.read / len(side.rollouts):.0f} tokens read each, {zoomed:.3f} zoomed, accuracy {did['accuracy']:.3f}"


def _split() -> str:
    """Where the seconds of our own steps go, after the first, which warms up."""
    with tempfile.TemporaryDirectory() as out:
        train_reinforced(STEPS, Path(out))
        steps = read_metrics(Path(out))[1:]
    whole, rollout, reward = (
        np.mean([step[name] for step in steps]) for name in ("step_time", "seconds/rollout", "seconds/reward")
    )
    return f"rollout {rollout:.1f}, reward {reward:.2f}, train {whole - rollout - reward:.1f}"


if __name__ == "__main__":
    main()
