"""How long tests wait for what must come: longer than any machine is busy, and less than a test has."""

PATIENCE = 240.0  # seconds
