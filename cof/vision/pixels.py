"""What the pixels of a picture are, in whatever form it came: RGB, 8 bit, upright.

Owns the conversion of a decoded Pillow picture of any mode, and of a numpy array: EXIF orientation applied, transparency laid
on white, 16-bit grey rounded to 8 bit, 16-bit colour cut to its high byte (as Pillow's readers of files do), floats 0 to 1.
Refuses modes, shapes, dtypes and ranges that may mean several things. Omits colour management (ICC profiles are ignored),
orientation outside EXIF (XMP), and the single transparent shade of a 16-bit grey PNG (shown opaque).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from PIL import ExifTags, Image

from cof.errors import InvalidImage

if TYPE_CHECKING:
    import numpy as np

WHITE = (255, 255, 255)
UPRIGHT = {  # EXIF 2.32, tag 0x0112: what turns a picture of each orientation upright; 1 is upright already
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
WIDE = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")  # modes of more than 8 bits, all of them grey
MODES = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV", *WIDE)
SHAPES = "height x width, or height x width x 1 (grey), 3 (RGB) or 4 (RGBA)"
DTYPES = "uint8, uint16, bool, or floats from 0 to 1"


def upright_rgb(image: Image.Image, orientation: int, name: str) -> Image.Image:
    """The pixels of a decoded picture that lies in an EXIF `orientation`, without metadata, so that nobody turns it twice.

    `name` is what a refusal calls it. `image` stays as it is. Raises InvalidImage.
    """
    turn = UPRIGHT.get(orientation)
    rgb = _rgb(image, name)
    if turn is not None:
        rgb = rgb.transpose(turn)
    elif rgb is image:
        return image
    rgb.info = {}
    return rgb


def orientation_in(exif: object) -> int:
    """The orientation, 1 to 8, in an EXIF block: a TIFF file whose first directory holds it. 1 if absent or damaged.

    Not Pillow's `getexif`, which reads every tag there is and warns of those that are damaged.
    """
    if not isinstance(exif, bytes):
        return 1
    tiff = exif.removeprefix(b"Exif\0\0")
    order = "<" if tiff.startswith(b"II") else ">"
    try:
        (start,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, value = struct.unpack_from(order + "H6xH", tiff, entry)  # tag, type and count, value
            if tag == ExifTags.Base.Orientation:
                return int(value)
    except struct.error:
        pass
    return 1


def size_of(array: np.ndarray[Any, Any], name: str) -> tuple[int, int]:
    """The (width, height) of an array of pixels. Raises InvalidImage where its shape is not that of a picture."""
    shape = array.shape
    if len(shape) not in (2, 3) or shape[2:] not in ((), (1,), (3,), (4,)) or 0 in shape:
        first = len(shape) == 3 and shape[0] in (1, 3, 4)
        advice = "; move the channels last (numpy.moveaxis(array, 0, -1))" if first else ""
        raise InvalidImage(f"{name} has the shape {shape}; want {SHAPES}{advice}")
    return shape[1], shape[0]


def image_of(array: np.ndarray[Any, Any], name: str) -> Image.Image:
    """An array in the shape of a picture as a Pillow picture. Raises InvalidImage for other dtypes and values."""
    grey = array.reshape(array.shape[:2]) if array.shape[2:] == (1,) else array
    match grey.dtype.kind, grey.dtype.itemsize:
        case "b", _:
            return Image.fromarray(grey.astype("uint8") * 255)
        case "u", 1:
            return Image.fromarray(grey)
        case "u", 2 if grey.ndim == 2:
            return Image.fromarray(grey.astype("uint16"))
        case "u", 2:
            return Image.fromarray((grey >> 8).astype("uint8"))
        case "f", _:
            return Image.fromarray(_levels(grey, name))
    raise InvalidImage(f"{name} is of dtype {array.dtype}; want {DTYPES}")


def _levels(array: np.ndarray[Any, Any], name: str) -> np.ndarray[Any, Any]:
    """Floats from 0 to 1 as 0 to 255, rounded; what rounds to no level is refused, as are NaN and infinity."""
    low, high = float(array.min()) * 255 + 0.5, float(array.max()) * 255 + 0.5
    if not 0 <= low <= high < 256:
        found = f"values from {array.min():.4g} to {array.max():.4g}"
        raise InvalidImage(f"{name} has {found}; want floats from 0 to 1 (divide by 255 what is of 8 bits), or uint8")
    return (array * 255 + 0.5).astype("uint8")


def _rgb(image: Image.Image, name: str) -> Image.Image:
    if image.mode not in MODES:
        raise InvalidImage(f"{name} is of mode {image.mode}; want it as RGB (image.convert('RGB'))")
    if image.mode in WIDE:
        return Image.merge("RGB", [_eight_bit(image, name)] * 3)
    if image.mode == "La":  # which Pillow turns into LA alone
        return _on_white(image.convert("LA").convert("RGBA"))
    if image.has_transparency_data:
        return _on_white(image.convert("RGBA"))
    return image if image.mode == "RGB" and type(image) is Image.Image and not image.info else image.convert("RGB")


def _eight_bit(grey: Image.Image, name: str) -> Image.Image:
    """Grey of more bits as 8 bit, rounded: 16 bit from 0..65535, F from 0..1. Pillow's own conversion clips at 255 instead."""
    import numpy as np

    if grey.mode == "F":
        return image_of(np.asarray(grey), name)
    if grey.mode == "I":
        _check_sixteen(grey, name)
    elif grey.mode != "I;16":  # not by Pillow's own conversion, which before release 13 clips I;16N
        grey = Image.fromarray(np.asarray(grey).astype("<u2"))
    return grey.point(lambda value: value * (1 / 257) + 0.5).convert("L")


def _check_sixteen(grey: Image.Image, name: str) -> None:
    """Whether 32-bit integers can only be 16-bit grey, as Pillow reads it from some files."""
    low, high = grey.getextrema()
    assert isinstance(low, int | float)
    assert isinstance(high, int | float)
    if low < 0 or high > 65535 or 0 < high < 256:
        found = f"values from {low} to {high} in 32-bit integers (mode I)"
        raise InvalidImage(f"{name} has {found}; want 16 bit, 0 to 65535, or an 8-bit mode (image.convert('L'))")


def _on_white(rgba: Image.Image) -> Image.Image:
    white = Image.new("RGB", rgba.size, WHITE)
    white.paste(rgba, mask=rgba)
    return white
