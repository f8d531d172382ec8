"""Signatures that the library of Standard Webhooks believes."""

from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from chamade_mcp.core.webhooks.signing import PREFIX, new_secret, signed_headers

BODY = '{"text":"déjà vu"}'.encode()


def test_the_library_believes_what_is_signed() -> None:
    secret = new_secret()
    headers = signed_headers("whd_1", datetime.now(UTC), BODY, [secret])
    assert Webhook(secret).verify(BODY, headers) == {"text": "déjà vu"}
    assert headers["webhook-id"] == "whd_1"


def test_it_believes_nothing_else() -> None:
    secret = new_secret()
    headers = signed_headers("whd_1", datetime.now(UTC), BODY, [secret])
    for data, changed in (
        (BODY + b" ", headers),
        (BODY, {**headers, "webhook-id": "whd_2"}),
        (BODY, signed_headers("whd_1", datetime.now(UTC), BODY, [new_secret()])),
        (BODY, signed_headers("whd_1", datetime.now(UTC) - timedelta(minutes=6), BODY, [secret])),
    ):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(data, changed)


def test_both_secrets_are_believed_during_a_change() -> None:
    new, old = new_secret(), new_secret()
    headers = signed_headers("whd_1", datetime.now(UTC), BODY, [new, old])
    for secret in (new, old):
        assert Webhook(secret).verify(BODY, headers) == {"text": "déjà vu"}


def test_a_secret_is_long_and_new() -> None:
    made = {new_secret() for _ in range(100)}
    assert len(made) == 100
    assert all(secret.startswith(PREFIX) and len(secret) > 48 for secret in made)
