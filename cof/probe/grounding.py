"""Asks a model for boxes that are known, reads the numbers it gives, and finds the frame that they are in.

Any text is read in linear time. Omits which frame fits (`frames.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from cof.models.remote.faults import Fault
from cof.probe.endpoint import Probe, picture, user
from cof.probe.frames import LEAST_SAMPLES, Four, Frame, NamedBox, frame_of
from cof.probe.pictures import ProbePicture
from cof.probe.rows import CheckRow, quoted
from cof.vision.urls import Wire

WHERE = "Where is the {colour} rectangle? Reply with its bounding box alone, as JSON with four numbers."
NUMBER = r"-?\d{1,6}+(?:\.\d{1,20}+)?+"  # of at most 20 decimals: a float of Python has up to 17
BETWEEN = r"[\s,;()\[\]]++"
FOUR = re.compile(rf"(?<![\w.])({NUMBER}){BETWEEN}({NUMBER}){BETWEEN}({NUMBER}){BETWEEN}({NUMBER})(?!\w|\.\d)")
KEYED = re.compile(
    r"(?<![a-z])(x_?min|x1|left|y_?min|y1|top|x_?max|x2|right|y_?max|y2|bottom)\"?+\s*+[:=]\s*+"
    rf"({NUMBER})(?!\w|\.\d)",
    re.IGNORECASE,
)
CORNERS = (("xmin", "x1", "left"), ("ymin", "y1", "top"), ("xmax", "x2", "right"), ("ymax", "y2", "bottom"))
UNITS = {"pixel": "pixels", "thousand": "thousandths of the sides", "unit": "parts of the sides, 0 to 1"}


def numbers_in(text: str) -> Four | None:
    """The last four numbers in a reply that can be a box: a row of four, or four by name."""
    if rows := FOUR.findall(text):
        a, b, c, d = map(float, rows[-1])
        return a, b, c, d
    named = {name.lower().replace("_", ""): float(value) for name, value in KEYED.findall(text)}
    found = [next((named[name] for name in names if name in named), None) for names in CORNERS]
    match found:
        case [float(a), float(b), float(c), float(d)]:
            return a, b, c, d
    return None


def frame_at(probe: Probe, wire: Wire, pictures: Iterable[ProbePicture]) -> tuple[Frame | None, str]:
    """The frame of the model's boxes, None with fewer than three of them, and why the last picture without a box had none."""
    boxes, failure = list[NamedBox](), ""
    for one in pictures:
        answer = probe.ask([user(picture(one.image, wire), WHERE.format(colour=one.colour))])
        found = None if isinstance(answer, Fault) else numbers_in(answer)
        if found is None:
            failure = answer.short if isinstance(answer, Fault) else quoted(answer)
        else:
            boxes.append(NamedBox(one.image.size, one.box, found))
    return frame_of(boxes), failure


def boxes_row(frame: Frame | None, failure: str) -> CheckRow:
    if frame is None:
        return CheckRow(
            "boxes", f"fewer than {LEAST_SAMPLES} replies named a box; the last: {failure or 'none'}", False
        )
    if not frame.found:
        text = f"they fit no frame (best overlap {frame.iou:.2f}); the model may not name places"
        return CheckRow("boxes", text, False)
    first = "x first" if frame.order == "xy" else "y first"
    return CheckRow("boxes", f"{UNITS[frame.unit]}, {first} (median IoU {frame.iou:.2f})", True)


def shrinks_row(frame: Frame | None) -> CheckRow:
    if frame is None or not frame.found:
        return CheckRow("server shrinks", "not known")
    if frame.unit != "pixel":
        return CheckRow("server shrinks", "cannot be known from boxes that are relative")
    if frame.limit is None:
        return CheckRow("server shrinks", "no, by the boxes", True)
    of = "pixels of the longer side" if frame.by == "side" else "pixels in all"
    return CheckRow(
        "server shrinks", f"to about {frame.limit:,} {of}; boxes are in pixels of the smaller picture", False
    )
