"""Python's garbage collector, as it suits a server: nearly all goes by its count of references."""

import gc
from typing import Final

_YOUNG: Final = 10_000
"""Objects made and not gone again, until the young are walked through. A handful of requests under way has
more of them than the 700 that Python begins with: it would look at them all the time, and find nothing."""


def settle() -> None:
    """Once everything is built, which lives until the end: no collection need walk through that again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG)
    gc.enable()
