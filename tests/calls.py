"""What tests ask of the calls of a turn."""

from cof.types import Box, Call


def boxes_in(calls: tuple[Call, ...]) -> tuple[Box, ...]:
    """The boxes that the calls name."""
    return tuple(call.box for call in calls if call.box)
