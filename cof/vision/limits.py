"""What limits leave of a picture: the overview and the crops that fit into `Limits`, shrunk rather than refused.

Pixels are shared out so that every zoom that is allowed can be shown: the overview leaves room for the crops, and a crop
leaves room for the crops that may still come.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cof.geometry import Box, Shown, ViewSpec
from cof.trace import Trace
from cof.types import Limits
from cof.vision import views


def overviews(sizes: Sequence[tuple[int, int]], spec: ViewSpec, limits: Limits) -> tuple[Shown, ...]:
    """The overviews of a question's pictures of `sizes` = (width, height) source pixels, within the limits.

    The pictures share the pixels equally. Their ids are their numbers. Raises InvalidImage as `overview` does.
    """
    found = (overview(size, spec, limits, number, len(sizes)) for number, size in enumerate(sizes))
    return tuple(replace(view, id=view.picture) for view in found)


def overview(size: tuple[int, int], spec: ViewSpec, limits: Limits, picture: int = 0, of: int = 1) -> Shown:
    """The overview of the picture with the number `picture` of `of` pictures, `size` = (width, height) source pixels.

    Of `limits.pixels`, as many are kept for crops as `limits.zooms` crops may take, but half of them at most. A picture so
    thin that its overview has one row of visual tokens may exceed that. Raises InvalidImage for a picture longer than
    200 : 1.
    """
    most = limits.pixels - min(limits.pixels // 2, limits.zooms * largest_crop(spec, limits))
    most = max(spec.factor**2, min(spec.max_pixels, most // of))
    return views.overview(size, replace(spec, max_pixels=most, min_pixels=min(spec.min_pixels, most)), picture)


def crop(box: Box, trace: Trace, shown: Sequence[Shown] = (), coming: int = 0) -> Shown | None:
    """The view that answers a zoom on `box` (source pixels) after `shown` of the same turn, as large as the limits allow.

    It takes at most an equal share of the pixels that are left, or `spec.zoom_min_pixels` where that is more; `coming` crops
    share with it beside those that the model may still ask for. None where not even the smallest view fits. Raises InvalidBox
    where the box lies outside the picture.
    """
    spec, limits = trace.spec, trace.limits
    left = limits.pixels - trace.pixels - sum(view.pixels for view in shown)
    sharing = coming + max(1, min(limits.zooms - trace.zooms - len(shown), limits.turns - len(trace.model_turns)))
    share = min(left, max(left // sharing, spec.zoom_min_pixels))
    view = views.zoom(box, trace.overview_of(box), at_most(spec, min(share, largest_crop(spec, limits))))
    return view if view.pixels <= left else None


def largest_crop(spec: ViewSpec, limits: Limits) -> int:
    """The most pixels of a crop by the view rules and the cap per crop; at least one visual token."""
    cap = spec.zoom_max_pixels if limits.crop_pixels is None else limits.crop_pixels
    return max(spec.factor**2, min(spec.zoom_max_pixels, cap))


def at_most(spec: ViewSpec, pixels: int) -> ViewSpec:
    """The view rules with crops of at most `pixels`, but of one visual token."""
    most = max(spec.factor**2, min(spec.zoom_max_pixels, pixels))
    return replace(spec, zoom_max_pixels=most, zoom_min_pixels=min(spec.zoom_min_pixels, most))
