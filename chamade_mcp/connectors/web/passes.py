"""Who a guest is, without a table: an id, and a proof that we gave it out for this link."""

import hmac
import re
from base64 import urlsafe_b64encode
from hashlib import sha256

from chamade_mcp.model.ids import new_id

PURPOSE = "web guest"
_SECRET = re.compile(r"(guest_[a-z2-9]{20})\.([A-Za-z0-9_-]{43})")


class Passes:
    """Makes and checks guest secrets: `<guest id>.<HMAC-SHA256 of the id and the link's hash>`."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def new_guest(self) -> str:
        return new_id("guest")

    def secret(self, guest_id: str, token: str) -> str:
        """What proves to be `guest_id` on the link of `token`, and on no other."""
        text = f"{guest_id}\n{sha256(token.encode()).hexdigest()}"
        mac = hmac.digest(self._key, text.encode(), "sha256")
        return f"{guest_id}.{urlsafe_b64encode(mac).rstrip(b'=').decode()}"

    def guest(self, secret: str | None, token: str) -> str | None:
        """The guest id `secret` proves; None when it proves nothing."""
        found = _SECRET.fullmatch(secret) if secret is not None else None
        if found is None or secret is None:
            return None
        guest_id = found[1]
        return guest_id if hmac.compare_digest(self.secret(guest_id, token), secret) else None
