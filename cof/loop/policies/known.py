"""The policies by name: a module of this folder, an entry point of another package, or a Python path `module:NAME`."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from cof.errors import InvalidConfig
from cof.loop.policies.base import Policy
from cof.registry import known, part

GROUP = "cof.policies"  # of entry points: each names a `Policy`
OWN, DIRECT, ALWAYS, ORACLE = "own", "direct", "always", "oracle"  # modules of this folder
BUILT_IN = {name: f"cof.loop.policies.{name}:POLICY" for name in (OWN, DIRECT, ALWAYS, ORACLE)}


@functools.cache
def policy_named(name: str) -> Policy:
    """The policy. Raises InvalidConfig where there is none of that name."""
    found = part("policy", name, registered())
    if not isinstance(found, Policy):
        want = "want a value of a class that derives from cof.Policy"
        raise InvalidConfig(f"policy {name!r} is {type(found).__name__}; {want}")
    if not isinstance(found.name, str) or (
        found.name in BUILT_IN and found is not part("policy", found.name, BUILT_IN)
    ):
        want = "want a text that no policy of this package has"
        raise InvalidConfig(f"policy {name!r} calls itself {found.name!r}; {want}")
    return found


def registered() -> Mapping[str, str]:
    """Names and Python paths of the policies of this package and of those that are installed."""
    return known(GROUP, BUILT_IN)


def policy_for_asking(name: str) -> Policy:
    """The policy, for a question without true boxes. Raises InvalidConfig where there is none, or it needs true boxes."""
    found = policy_named(name)
    if found.needs_targets:
        raise InvalidConfig(
            f"policy {name} needs true boxes, which an evaluation has; want one of {', '.join(for_asking())}"
        )
    return found


def for_asking() -> tuple[str, ...]:
    """Names of the registered policies, without those of this package that need true boxes. None of the others is imported."""
    return tuple(name for name in registered() if name not in BUILT_IN or not policy_named(name).needs_targets)
