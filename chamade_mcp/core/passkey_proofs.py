"""What browsers sign with passkeys (WebAuthn level 3), asked for and checked.

A challenge carries its own end and the gateway's mark, so nothing is kept for whoever merely asks; one that
was answered is remembered until it would have ended, and is answered no more.
"""

import hmac
import json
import logging
import secrets
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from chamade_mcp.kit.clock import Clock

log = logging.getLogger(__name__)

LIFE_S: Final = 300
_NONCE_BYTES: Final = 16
_END: Final = struct.Struct(">Q")

Credential = Mapping[str, object]
"""As the browser's `PublicKeyCredential.toJSON()` gives it. Anybody may send anything."""


class ProofRefused(Exception):
    """What came is no answer to a question of ours, or was not signed by that passkey."""


@dataclass(frozen=True, slots=True)
class NewPasskey:
    credential_id: str
    public_key: bytes
    sign_count: int
    is_synced: bool


@dataclass(frozen=True, slots=True)
class Known:
    """What was kept of a passkey."""

    credential_id: str
    public_key: bytes
    sign_count: int
    transports: Sequence[str] = ()


class Challenges:
    """`purpose` is what a challenge is for and whose: it is good for nothing else."""

    def __init__(self, key: bytes, clock: Clock) -> None:
        self._key = key
        self._clock = clock
        self._used: dict[bytes, int] = {}

    def make(self, purpose: str) -> bytes:
        body = secrets.token_bytes(_NONCE_BYTES) + _END.pack(self._now() + LIFE_S)
        return body + self._mark(body, purpose)

    def take(self, credential: Credential, purpose: str) -> bytes:
        """The challenge that was answered, once. Raises `ProofRefused`."""
        challenge = _challenge_of(credential)
        body, mark = challenge[: _NONCE_BYTES + _END.size], challenge[_NONCE_BYTES + _END.size :]
        if not hmac.compare_digest(mark, self._mark(body, purpose)):
            raise ProofRefused
        (end,) = _END.unpack(body[_NONCE_BYTES:])
        now = self._now()
        if end <= now or challenge in self._used:
            raise ProofRefused
        self._used = {one: until for one, until in self._used.items() if until > now} | {challenge: end}
        return challenge

    def _mark(self, body: bytes, purpose: str) -> bytes:
        return hmac.digest(self._key, body + purpose.encode(), "sha256")

    def _now(self) -> int:
        return int(self._clock.now().timestamp())


def _challenge_of(credential: Credential) -> bytes:
    from webauthn import base64url_to_bytes

    try:
        response = cast(Mapping[str, Any], credential["response"])
        client_data = json.loads(base64url_to_bytes(response["clientDataJSON"]))
        challenge = base64url_to_bytes(client_data["challenge"])
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ProofRefused from None
    if len(challenge) != _NONCE_BYTES + _END.size + 32:
        raise ProofRefused
    return challenge


@dataclass(frozen=True, slots=True)
class Site:
    """For whom passkeys are: `host` is a name, as addresses have none."""

    host: str
    origin: str

    def to_add(
        self, challenge: bytes, handle: str, email: str, name: str, known: Sequence[str]
    ) -> dict[str, Any]:
        """Options of `navigator.credentials.create`, as JSON."""
        from webauthn import base64url_to_bytes, generate_registration_options, options_to_json
        from webauthn.helpers.structs import (
            AuthenticatorSelectionCriteria,
            PublicKeyCredentialDescriptor,
            ResidentKeyRequirement,
            UserVerificationRequirement,
        )

        options = generate_registration_options(
            rp_id=self.host,
            rp_name="Chamade",
            user_id=handle.encode(),
            user_name=email,
            user_display_name=name,
            challenge=challenge,
            timeout=LIFE_S * 1000,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED,
                user_verification=UserVerificationRequirement.REQUIRED,
            ),
            exclude_credentials=[PublicKeyCredentialDescriptor(id=base64url_to_bytes(one)) for one in known],
        )
        return json.loads(options_to_json(options))

    def to_show(self, challenge: bytes, known: Sequence[str] = ()) -> dict[str, Any]:
        """Options of `navigator.credentials.get`, as JSON; without `known`, any passkey for this site."""
        from webauthn import base64url_to_bytes, generate_authentication_options, options_to_json
        from webauthn.helpers.structs import PublicKeyCredentialDescriptor, UserVerificationRequirement

        options = generate_authentication_options(
            rp_id=self.host,
            challenge=challenge,
            timeout=LIFE_S * 1000,
            allow_credentials=[PublicKeyCredentialDescriptor(id=base64url_to_bytes(one)) for one in known],
            user_verification=UserVerificationRequirement.REQUIRED,
        )
        return json.loads(options_to_json(options))

    def added(self, credential: Credential, challenge: bytes) -> NewPasskey:
        """Raises `ProofRefused`."""
        from webauthn import verify_registration_response
        from webauthn.helpers import bytes_to_base64url
        from webauthn.helpers.structs import CredentialDeviceType

        try:
            made = verify_registration_response(
                credential=dict(credential),
                expected_challenge=challenge,
                expected_rp_id=self.host,
                expected_origin=self.origin,
                require_user_verification=True,
            )
        except Exception as error:  # a stranger's bytes: its decoders raise whatever theirs do
            log.info("a new passkey was not taken: %s", type(error).__name__)
            raise ProofRefused from None
        synced = made.credential_device_type is CredentialDeviceType.MULTI_DEVICE
        return NewPasskey(
            bytes_to_base64url(made.credential_id), made.credential_public_key, made.sign_count, synced
        )

    def shown(self, credential: Credential, challenge: bytes, known: Known) -> int:
        """How often the passkey has signed by now, if it counts. Raises `ProofRefused`."""
        from webauthn import verify_authentication_response

        try:
            signed = verify_authentication_response(
                credential=dict(credential),
                expected_challenge=challenge,
                expected_rp_id=self.host,
                expected_origin=self.origin,
                credential_public_key=known.public_key,
                credential_current_sign_count=known.sign_count,
                require_user_verification=True,
            )
        except Exception as error:  # as above
            log.info("a passkey was not taken: %s", type(error).__name__)
            raise ProofRefused from None
        return signed.new_sign_count
