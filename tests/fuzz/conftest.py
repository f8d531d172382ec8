"""How many examples: a few for `make test`, many for `make fuzz`, which says how many."""

import os

from hypothesis import settings

settings.register_profile("fuzz", max_examples=int(os.environ.get("FUZZ_EXAMPLES", "300")), deadline=None)
settings.load_profile("fuzz")
