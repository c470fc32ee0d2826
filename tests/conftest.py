"""What holds for all tests: Hypothesis tries the same examples every time, unless a campaign wants others."""

import os

from hypothesis import settings

# A run of the tests says something about the change, not about luck. `make soak` and MMS_EXPLORE=1 look further.
settings.register_profile("same-every-time", derandomize=True)
if not (os.environ.get("MMS_EXPLORE") or os.environ.get("MMS_HISTORIES")):
    settings.load_profile("same-every-time")
