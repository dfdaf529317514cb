"""What tests ask of the calls of a turn."""

from cof.geometry import Box
from cof.types import Action


def boxes_in(action: Action) -> tuple[Box, ...]:
    """The boxes that the calls of a turn name."""
    assert isinstance(action, tuple)
    return tuple(call.box for call in action if call.box)
