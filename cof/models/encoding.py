"""From messages to token ids, for models and for training alike: chat templates, image placeholders, rotary positions.

Structure is the chat template's alone. A control token that the text of a user or system turn spells (`<|im_end|>`,
`<|image_pad|>`) is tokenised as the characters it is made of: the turn is marked inside every such spelling before it is
rendered, and the rendered text is cut at the marks before it is tokenised. An assistant turn is left as it was sampled.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from cof.dialects.base import Message, Part
from cof.dialects.control import control_token
from cof.errors import ModelError
from cof.geometry import Shown
from cof.models.base import Request
from cof.types import Completion, Transcript

IMAGE_PAD = "<|image_pad|>"
CUT = "\ud800"  # the mark: half a character, which is refused in texts
HALF = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Codec:
    """Between requests and what a network takes, by the checkpoint's own `tokenizer` and image `processor`."""

    tokenizer: Any
    processor: Any

    @property
    def factor(self) -> int:
        """Side of one visual token in pixels."""
        return int(self.processor.patch_size * self.processor.merge_size)

    @property
    def image_token(self) -> int:
        """The id of the placeholder that stands for a visual token."""
        return int(self.tokenizer.convert_tokens_to_ids(IMAGE_PAD))

    @property
    def pad(self) -> int:
        """The id of the padding token."""
        return int(self.tokenizer.pad_token_id)

    def text(self, request: Request) -> str:
        """The request as the chat template writes it, one placeholder per picture, up to where the model goes on.

        It has the marks at which `ids` cuts it. Raises ModelError.
        """
        messages = template_messages(request.messages, self.tokenizer)
        text: str = self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        return text + request.prefix

    def ids(self, text: str, views: Sequence[Shown]) -> list[int]:
        """Token ids of a rendered text, with one placeholder per visual token of each of its `views`. Raises ModelError."""
        if odd := [view.size for view in views if view.size[0] % self.factor or view.size[1] % self.factor]:
            want = f"sides in multiples of {self.factor} pixels: give the loop the model's `spec`"
            raise ModelError(f"got a view of {odd[0][0]} x {odd[0][1]} pixels; want {want}")
        ids = token_ids(self.tokenizer, text)
        repeats = visual_repeats(ids, views, self.image_token, self.factor)
        return [i for i, n in zip(ids, repeats, strict=True) for _ in range(n)]

    def starts(self, ids: Sequence[int], views: Sequence[Shown]) -> list[int]:
        """Where the first token of each picture is."""
        places = np.flatnonzero(np.asarray(ids) == self.image_token)
        sizes = [view.pixels // self.factor**2 for view in views]
        return [int(places[before]) for before in np.cumsum([0, *sizes])[:-1]]

    def encode(self, text: str) -> list[int]:
        """Token ids of an answer's text; a control token that it spells is one token."""
        ids: list[int] = self.tokenizer(text, add_special_tokens=False).input_ids
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """The text of token ids, control tokens included."""
        text: str = self.tokenizer.decode(ids, skip_special_tokens=False)
        return text

    def patches(self, pictures: Sequence[Image.Image]) -> dict[str, np.ndarray]:
        """The network's inputs for pictures, which keep the sizes that they have."""
        found = self.processor(list(pictures))
        return {name: np.asarray(found[name]) for name in ("pixel_values", "image_grid_thw")}


@dataclass(frozen=True)
class PromptTokens:
    """A prompt as `text` and as `ids`, with one placeholder per visual token of each of its `views`."""

    text: str = ""
    ids: tuple[int, ...] = ()
    views: tuple[Shown, ...] = ()

    def then(self, sampled: Sequence[int], request: Request, codec: Codec) -> PromptTokens:
        """The prompt of the next turn, after these ids were `sampled`: what was read or sampled before keeps its tokens, only
        what is new is tokenised. Raises ModelError."""
        text, views = codec.text(request), views_in(request.messages)
        for kept in (tuple(sampled), ()):
            known = self.text + codec.decode(kept)
            if known and text.startswith(known):
                new = codec.ids(text[len(known) :], views[len(self.views) :])
                return PromptTokens(text, (*self.ids, *kept, *new), views)
        return PromptTokens(text, tuple(codec.ids(text, views)), views)

    def completion(
        self, sampled: Sequence[int], end: int | None, logprobs: Sequence[float], request: Request, codec: Codec
    ) -> Completion:
        """The turn that was `sampled` after this prompt, and then the token that `end`ed it; None where it was cut off."""
        visual = sum(view.pixels for view in self.views) // codec.factor**2
        tokens = (*sampled,) if end is None else (*sampled, end)
        transcript = Transcript(self.ids, tokens, tuple(logprobs)) if request.transcript else None
        text = request.prefix + codec.decode(sampled)
        return Completion(text, len(tokens), len(self.ids), visual, "length" if end is None else "stop", transcript)


def template_messages(messages: Sequence[Message], tokenizer: Any) -> list[dict[str, Any]]:
    """Messages in the form that Hugging Face chat templates take; a view becomes an image placeholder.

    System and user turns are marked for `token_ids`. Raises ModelError on a text that UTF-8 cannot hold.
    """
    if any(HALF.search(part) for message in messages for part in message.parts if isinstance(part, str)):
        raise ModelError("a text holds half of a character (a lone surrogate); want text that UTF-8 can hold")
    spelling = _spelling(tokenizer)

    def content(part: Part, role: str) -> dict[str, str]:
        if isinstance(part, Shown):
            return {"type": "image"}
        return {"type": "text", "text": spelling.sub(rf"\g<0>{CUT}", part) if role != "assistant" else part}

    return [{"role": m.role, "content": [content(part, m.role) for part in m.parts]} for m in messages]


def token_ids(tokenizer: Any, text: str) -> list[int]:
    """Token ids of a text that was rendered from `template_messages`."""
    pieces = (piece for piece in text.split(CUT) if piece)
    return [token for piece in pieces for token in tokenizer(piece, add_special_tokens=False).input_ids]


def views_in(messages: Sequence[Message]) -> tuple[Shown, ...]:
    """Every view of a conversation, in order of appearance."""
    return tuple(part for message in messages for part in message.parts if isinstance(part, Shown))


def visual_repeats(ids: Sequence[int], views: Sequence[Shown], image_token: int, factor: int) -> list[int]:
    """How often each id is in the model's input: a placeholder once per visual token of its view, others once.

    Raises ModelError where there is not one placeholder per view: some text spells one, and would be taken for a picture.
    """
    places = sum(i == image_token for i in ids)
    if places != len(views):
        raise ModelError(
            f"{places} image placeholders for {len(views)} pictures; want as many, and no {IMAGE_PAD} in any text"
        )
    sizes = iter(view.pixels // factor**2 for view in views)
    return [next(sizes) if i == image_token else 1 for i in ids]


@functools.lru_cache(maxsize=8)
def _spelling(tokenizer: Any) -> re.Pattern[str]:
    """Matches the first character of every control token of this tokenizer, one inside another too."""
    added = [
        str(token) for token in tokenizer.added_tokens_decoder.values() if token.special or control_token(str(token))
    ]
    return re.compile(f"(?={'|'.join(map(re.escape, added)) or '(?!)'}).", re.DOTALL)


def rotary_positions(ids: np.ndarray, views: Sequence[Shown], image_token: int, factor: int) -> np.ndarray:
    """Multimodal rotary positions (3, tokens): time, height, width, as the Qwen-VL families count them.

    Text goes on by one; a picture's tokens share a time, and what follows it goes on from its longer side.
    """
    parts, at, start = [], 0, 0
    firsts = np.flatnonzero(ids == image_token)
    for view in views:
        w, h = view.size[0] // factor, view.size[1] // factor
        first = int(firsts[firsts >= start][0])
        parts.append(np.tile(np.arange(at, at + first - start), (3, 1)))
        at += first - start
        ys, xs = np.mgrid[0:h, 0:w]
        parts.append(at + np.stack([np.zeros(w * h, np.int64), ys.reshape(-1), xs.reshape(-1)]))
        at, start = at + max(w, h), first + w * h
    parts.append(np.tile(np.arange(at, at + len(ids) - start), (3, 1)))
    return np.concatenate(parts, axis=1)
