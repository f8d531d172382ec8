"""How hard it gets: little for `make test`, all of it for `make chaos`, which says so in the environment."""

import os

KILLS = int(os.environ.get("CHAOS_KILLS", "4"))
LOCKED_S = float(os.environ.get("CHAOS_LOCKED_S", "16"))
"""Three times the 5 s for which the gateway itself waits, which are more on a busy machine: who waits behind
those is refused, too."""
