"""`transformers serve` for one checkpoint of ours, without torchvision: `python -m tests.serving FOLDER PORT`.

The server is transformers' own. Only its processor is put together here, because transformers looks for a video
processor, which needs torchvision, before it serves pictures.
"""

from __future__ import annotations

import sys
from typing import Any

from transformers import AutoProcessor, AutoTokenizer, ProcessorMixin
from transformers.cli.serve import Serve
from transformers.models.qwen2_5_vl.processing_qwen2_5_vl import Qwen2_5_VLProcessor
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil


class PictureProcessor(Qwen2_5_VLProcessor):
    """The family's processor for pictures and text alone."""

    def __init__(self, image_processor: Any, tokenizer: Any, chat_template: Any = None) -> None:
        self.image_token, self.video_token = "<|image_pad|>", "<|video_pad|>"
        self.image_token_id, self.video_token_id = tokenizer.convert_tokens_to_ids([self.image_token, self.video_token])
        ProcessorMixin.__init__(self, image_processor, tokenizer, chat_template=chat_template)


def load(folder: str, *_: Any, **__: Any) -> PictureProcessor:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    return PictureProcessor(
        Qwen2VLImageProcessorPil.from_pretrained(folder, do_resize=False), tokenizer, tokenizer.chat_template
    )


if __name__ == "__main__":
    AutoProcessor.from_pretrained = load
    Serve(force_model=sys.argv[1], host="127.0.0.1", port=int(sys.argv[2]), device="cpu")
