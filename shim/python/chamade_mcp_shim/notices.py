"""What the person hears: one line when something is wrong, one when it is right again."""

import sys

from chamade_mcp_shim.failures import Failed


class Notices:
    """Lines on standard error, which never hold the key."""

    def __init__(self, api_key: str) -> None:
        self._api_key = api_key
        self._trouble: str | None = None

    def say(self, text: str) -> None:
        text = " ".join(text.split()).replace(self._api_key, "chmd_***")
        print(f"chamade-mcp-shim: {text}", file=sys.stderr, flush=True)

    def trouble(self, failed: Failed) -> None:
        """The same trouble again says nothing new."""
        if failed.code != self._trouble:
            self._trouble = failed.code
            self.say(failed.text())

    def well(self) -> None:
        if self._trouble is not None:
            self._trouble = None
            self.say("the gateway answers again")
