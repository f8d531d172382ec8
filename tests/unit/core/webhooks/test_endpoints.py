"""Endpoints: what is accepted, who sees them, secrets and their change, tests, history."""

import json
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from chamade_mcp.core.retention import Retention
from chamade_mcp.core.webhooks.endpoints import MOST_ENDPOINTS
from chamade_mcp.core.webhooks.signing import signed_headers
from chamade_mcp.model.errors import Conflict, Gone, InvalidRequest, LimitReached, NotFound
from chamade_mcp.store import schema
from tests.support.house import House
from tests.support.receiver import Arrived
from tests.support.webhooks import Endpoint

DAY_S = 86_400.0


@pytest.fixture
async def endpoint(house: House) -> Endpoint:
    return await Endpoint.make(house)


def believed(arrived: Arrived, secret: str) -> bool:
    """By the library, which lives in the present: the signature is made anew for the same content and now."""
    stamp = datetime.fromtimestamp(int(arrived.headers["webhook-timestamp"]), UTC)
    made = signed_headers(arrived.id, stamp, arrived.raw, [secret])["webhook-signature"]
    return made in arrived.headers["webhook-signature"].split(" ")


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("ftp://receiver.example/", "INVALID_URL"),
        ("http://receiver.example/", "INVALID_URL"),
        ("https://me:secret@receiver.example/", "INVALID_URL"),
        ("https://127.0.0.1/", "INVALID_URL"),
        ("http://localhost:5678/", "INVALID_URL"),
        ("https://2130706433/", "INVALID_URL"),
        ("https://inside.example/", "WEBHOOK_URL_REFUSED"),
        ("https://metadata.example/", "WEBHOOK_URL_REFUSED"),
        ("https://mapped.example/", "WEBHOOK_URL_REFUSED"),
        ("https://nowhere.example/", "WEBHOOK_URL_REFUSED"),
    ],
)
async def test_a_url_that_nothing_is_sent_to_is_refused(
    house: House, endpoint: Endpoint, url: str, code: str
) -> None:
    house.receiver.addresses |= {
        "inside.example": ("93.184.215.14", "10.0.0.1"),
        "metadata.example": ("169.254.169.254",),
        "mapped.example": ("::ffff:127.0.0.1",),
        "nowhere.example": (),
    }
    for attempt in (
        house.webhooks.create(endpoint.owner, url, [], ""),
        house.webhooks.change(endpoint.owner, endpoint.id, url=url),
    ):
        with pytest.raises(InvalidRequest) as refused:
            await attempt
        assert refused.value.code == code
        assert refused.value.param == "url"
    assert len(await house.webhooks.list(endpoint.owner)) == 1


@pytest.mark.parametrize("url", ["http://localhost:5678/hook", "https://localhost:5678/", "http://n8n/x"])
async def test_hosts_that_the_operator_named_may_be_anywhere(house: House, url: str) -> None:
    house.receiver.hosts |= {"localhost:5678", "n8n"}
    house.receiver.addresses |= {"localhost": ("127.0.0.1",), "n8n": ("172.18.0.2",)}
    owner = await house.owner()
    made = await house.webhooks.create(owner, url, [], "")
    assert (await house.webhooks.test(owner, made["id"]))["state"] == "delivered"
    for other in ("http://localhost:6379/", "http://n8n.internal/", "http://127.0.0.1:5678/"):
        with pytest.raises(InvalidRequest):
            await house.webhooks.create(owner, other, [], "")


async def test_the_secret_is_told_once_and_kept_sealed(house: House, endpoint: Endpoint) -> None:
    shown = [
        await house.webhooks.list(endpoint.owner),
        await house.webhooks.get(endpoint.owner, endpoint.id),
        await house.overview.export(endpoint.owner),
    ]
    assert endpoint.id in json.dumps(shown[2], default=str)
    assert endpoint.secret.removeprefix("whsec_") not in json.dumps(shown, default=str)
    rows = await house.database.read(lambda conn: conn.execute(schema.webhooks.select()).mappings().all())
    assert endpoint.secret.removeprefix("whsec_") not in str(rows)


async def test_a_new_secret_takes_over_within_a_day(house: House, endpoint: Endpoint) -> None:
    new = (await house.webhooks.rotate(endpoint.owner, endpoint.id))["secret"]
    await endpoint.happen()
    (arrived,) = await endpoint.arrived(1)
    assert believed(arrived, new)
    assert believed(arrived, endpoint.secret)
    await house.clock.advance(DAY_S + 1)
    await endpoint.happen()
    (_, arrived) = await endpoint.arrived(2)
    assert believed(arrived, new)
    assert not believed(arrived, endpoint.secret)


async def test_the_library_takes_a_message_of_now_only(house: House, endpoint: Endpoint) -> None:
    await endpoint.happen()
    (arrived,) = await endpoint.arrived(1)
    house.clock.jump((datetime.now(UTC) - house.clock.now()).total_seconds())
    with pytest.raises(WebhookVerificationError):
        Webhook(endpoint.secret).verify(arrived.raw, arrived.headers)
    await endpoint.happen()
    (_, arrived) = await endpoint.arrived(2)
    assert Webhook(endpoint.secret).verify(arrived.raw, arrived.headers)["seq"] == 2


async def test_what_is_anothers_is_not_there(house: House, endpoint: Endpoint) -> None:
    await endpoint.happen()
    (delivery,) = await endpoint.settled("delivered")
    other, w = await house.owner(), house.webhooks
    assert await w.list(other) == []
    own = await Endpoint.make(house, owner=other, host="other.example")
    for attempt in (
        w.get(other, endpoint.id),
        w.change(other, endpoint.id, description="mine"),
        w.rotate(other, endpoint.id),
        w.remove(other, endpoint.id),
        w.test(other, endpoint.id),
        w.deliveries(other, endpoint.id, state=None, before=None, limit=10),
        w.deliveries(other, own.id, state=None, before=delivery["id"], limit=10),
        w.replay(other, endpoint.id, delivery["id"]),
        w.replay(other, own.id, delivery["id"]),
    ):
        with pytest.raises(NotFound):
            await attempt
    assert (await w.get(endpoint.owner, endpoint.id))["description"] == ""


async def test_there_is_a_most(house: House) -> None:
    owner = await house.owner()
    for _ in range(MOST_ENDPOINTS):
        await Endpoint.make(house, owner=owner)
    with pytest.raises(Conflict, match=f"at most {MOST_ENDPOINTS}"):
        await Endpoint.make(house, owner=owner)


async def test_a_test_tells_what_the_receiver_said_and_is_tried_once(
    house: House, endpoint: Endpoint
) -> None:
    house.receiver.says(endpoint.host, 401, text="who are you")
    await endpoint.change(status="paused")
    told = await house.webhooks.test(endpoint.owner, endpoint.id)
    (attempt,) = told["attempts"]
    assert (told["state"], told["type"]) == ("failed", "webhook_test")
    assert (attempt["status"], attempt["response"]) == (401, "who are you")
    assert await endpoint.deliveries() == [told]
    await endpoint.change(status="active")
    await house.clock.advance(DAY_S)
    await endpoint.nothing_left_to_do()
    assert len(house.receiver.arrived) == 1
    assert (await house.webhooks.get(endpoint.owner, endpoint.id))["failing_since"] is None


async def test_too_many_tests_are_refused(house: House, endpoint: Endpoint) -> None:
    for _ in range(10):
        await house.webhooks.test(endpoint.owner, endpoint.id)
    with pytest.raises(LimitReached):
        await house.webhooks.test(endpoint.owner, endpoint.id)


async def test_a_delivery_under_way_is_not_replayed_nor_one_whose_event_is_gone(
    house: House, endpoint: Endpoint
) -> None:
    house.receiver.says(endpoint.host, 500)
    await endpoint.happen()
    (delivery,) = await endpoint.attempted(1)
    with pytest.raises(Conflict):
        await house.webhooks.replay(endpoint.owner, endpoint.id, delivery["id"])
    house.receiver.works(endpoint.host)
    await endpoint.pass_to_next_attempt()
    await endpoint.forget_events(1)
    with pytest.raises(Gone):
        await house.webhooks.replay(endpoint.owner, endpoint.id, delivery["id"])
    tested = await house.webhooks.test(endpoint.owner, endpoint.id)
    again = await house.webhooks.replay(endpoint.owner, endpoint.id, tested["id"])
    assert again["state"] == "pending"
    assert len({one.id for one in await endpoint.arrived(4)}) == 2


async def test_the_history_comes_in_pages(house: House, endpoint: Endpoint) -> None:
    house.receiver.says(endpoint.host, 500)
    for n in range(5):
        await endpoint.happen(conversation=f"conv_{n}")
        await house.clock.advance(0.01)
    await endpoint.attempted(5)
    seen: list[int] = []
    before: str | None = None
    while True:
        page = await house.webhooks.deliveries(
            endpoint.owner, endpoint.id, state="pending", before=before, limit=2
        )
        seen += [one["seq"] for one in page["deliveries"]]
        before = page["next"]
        if before is None:
            break
    assert seen == [5, 4, 3, 2, 1]
    none = await house.webhooks.deliveries(
        endpoint.owner, endpoint.id, state="delivered", before=None, limit=2
    )
    assert none == {"deliveries": [], "next": None}


async def test_the_history_goes_with_the_events(house: House, endpoint: Endpoint) -> None:
    retention = Retention(house.database, house.clock, house.inbox.messages_removed)
    await endpoint.happen()
    await endpoint.settled("delivered")
    house.receiver.says(endpoint.host, 500)
    await endpoint.happen()
    await endpoint.attempted(2)
    await endpoint.change(status="paused")
    await house.clock.advance(8 * DAY_S)
    await retention.sweep()
    assert [one["state"] for one in await endpoint.deliveries()] == ["pending"]
    await house.clock.advance(8 * DAY_S)
    await retention.sweep()
    assert await endpoint.deliveries() == []


async def test_nothing_is_left_of_an_account_that_goes(house: House) -> None:
    account = await house.accounts.create("a@example.org", "a long password", verified=True)
    owner = await house.accounts.authenticate_session(
        await house.accounts.sign_in("a@example.org", "a long password")
    )
    endpoint = await Endpoint.make(house, owner=owner)
    house.receiver.says(endpoint.host, 500)
    await endpoint.happen()
    await endpoint.attempted(1)
    assert owner.account == account
    await house.accounts.delete(owner, "a long password")
    for table in (schema.webhooks, schema.webhook_deliveries, schema.webhook_attempts):
        assert await house.database.read(lambda conn, t=table: conn.execute(t.select()).all()) == []
    await house.clock.advance(DAY_S)
    await endpoint.nothing_left_to_do()
    assert len(house.receiver.arrived) == 1
