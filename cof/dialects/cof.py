"""The dialect of the Chain-of-Focus checkpoints (arXiv 2505.15436), which cof-nano uses too.

One assistant turn is `<think>…</think>` and then either one or more `<tool_call>` with a box in absolute pixels of the
first picture as shown, or `<answer>…</answer>`. Crops come back in a user turn. The words are this project's own.
"""

from cof.dialects.dialect import Dialect

COF = Dialect(
    name="cof",
    system="You answer questions about a picture. Think inside <think></think>. If what you need is too small to see, ask for "
    'a closer look: <tool_call>{"name": "image_zoom_in_tool", "arguments": {"bbox_2d": [x1, y1, x2, y2], "label": "…"}}'
    "</tool_call> with the box in pixels of the first picture. Otherwise answer inside <answer></answer>.",
    models=("chain-of-focus", "cof"),
)
