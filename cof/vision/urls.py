"""Pictures as data URLs: for pages, logs and models behind a server."""

from __future__ import annotations

import base64
import io
from typing import Any

from PIL import Image


def png_url(image: Image.Image) -> str:
    """Without loss."""
    return _url(image, "PNG")


def jpeg_url(image: Image.Image, quality: int) -> str:
    return _url(image, "JPEG", quality=quality)


def _url(image: Image.Image, form: str, **how: Any) -> str:
    buffer = io.BytesIO()
    image.save(buffer, form, **how)
    return f"data:image/{form.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"
