"""How the tests run: on one thread, which is faster for small tensors, and on the same cases each time.

`HYPOTHESIS_PROFILE=default make test` draws new cases.
"""

import os

from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
settings.register_profile("same cases", derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same cases"))
