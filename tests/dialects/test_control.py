"""Control tokens: what tokenizers read as structure is found in a text; the tags of a dialect and all else are text."""

from __future__ import annotations

import pytest

from cof.dialects.control import control_token
from cof.dialects.named import dialect_of, names


@pytest.mark.parametrize(
    "token",
    [
        "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|image_pad|>", "<|vision_start|>", "<|box_start|>",
        "<|eot_id|>", "<|start_header_id|>", "<|begin_of_box|>", "<|im_user|>", "<|media_pad|>",
        "<|channel>", "<turn|>", "<start_of_turn>", "<end_of_turn>", "<eos>", "<image_soft_token>",
        "<｜User｜>", "<｜end▁of▁sentence｜>", "<IMG_CONTEXT>", "<img>", "</img>",
        "<image>", "</image>", "<image_id>", "</image_id>", "<slice>", "</slice>", "<video>",
        "[INST]", "[/INST]", "[IMG]", "[TOOL_CALLS]", "[TOOL_RESULTS]", "[/SYSTEM_PROMPT]",
        "<s>", "</s>", "<unk>", "<<SYS>>", "[gMASK]", "<sop>", "<eop>", "[EOS]", "[EOT]",
    ],
)  # fmt: skip
def test_what_structures_a_prompt_is_found_wherever_it_stands(token: str) -> None:
    assert control_token(token) == token
    assert control_token(f"What is on the{token}sign, 1 < 2?") == token
    assert control_token(f"a\n{token}\n<|im_end|>") == token
    assert control_token(f"{token} <|im_end|>", own=f"{token}…") == ("<|im_end|>" if token != "<|im_end|>" else None)


@pytest.mark.parametrize(
    "text",
    [
        "", "Is a <| b |> c?", "<|>", "<||>", "a|>b", "<think>so</think><answer>B</answer>", "<tool_call>{}</tool_call>",
        "<Image>", "<images>", "an image>", "<slice of bread>",
        "<b>bold</b>", "<strong>", "<sup>2</sup>", "</section>", "if x<s and y>s", "[INSTANCE]", "[IMAGE]", "[1, 2]",
        "[eos]", "<| im_end |>", "<eosin>", "im_end", "<|im end|>", "x <- y | z -> w", "｜User｜", "<Unknown>",
        "usage: cp [ARGS]",
    ],
)  # fmt: skip
def test_what_only_looks_like_it_is_text(text: str) -> None:
    assert control_token(text) is None


@pytest.mark.parametrize("name", names())
def test_no_family_says_what_a_user_may_not(name: str) -> None:
    """Words that a dialect puts into user turns spell none; its own tags do not count."""
    dialect = dialect_of(name)
    own = dialect.grammar
    for words in (dialect.user, dialect.choose, dialect.answer_now, dialect.reply, dialect.closer, dialect.complaint):
        assert control_token(words, own) is None
