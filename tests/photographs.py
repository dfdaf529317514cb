"""The one photograph that a package of the development environment ships: Grace Hopper, in matplotlib's sample data."""

from importlib.util import find_spec
from pathlib import Path


def photograph() -> Path:
    """Its file, a JPEG."""
    found = find_spec("matplotlib")
    assert found is not None
    assert found.submodule_search_locations is not None
    return Path(found.submodule_search_locations[0]) / "mpl-data/sample_data/grace_hopper.jpg"
