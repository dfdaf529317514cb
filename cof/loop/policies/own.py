"""The model chooses whether and where to zoom: Chain-of-Focus itself (arXiv 2505.15436)."""

from __future__ import annotations

from cof.loop.policies.base import Policy

POLICY = Policy("own", "the model chooses to zoom")
