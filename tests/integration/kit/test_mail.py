"""Mail over SMTP: what arrives, what is said on the way, and what becomes of a refusal."""

import base64

import pytest

from chamade_mcp.kit.mail import Mail, MailFailed, SmtpPost, is_email, parse_server
from tests.support.letterbox import smtp_sink


async def test_a_mail_arrives_whole() -> None:
    async with smtp_sink() as sink:
        server = parse_server(sink.url.replace("://", "://ann%40example.org:p%3Aw@"))
        await SmtpPost(server, "chamade@example.org").send(
            Mail("ben@example.org", "Ein Bär", "Grüße\n.\nEnde")
        )
        (mail,) = sink.box.mails
        assert (mail.to, mail.subject) == ("ben@example.org", "Ein Bär")
        assert mail.text.splitlines() == ["Grüße", ".", "Ende"]
        assert "chamade@example.org" in sink.senders[0]
        told = base64.b64decode(sink.logins[0].rpartition(" ")[2])
        assert told == b"\0ann@example.org\0p:w"


@pytest.mark.parametrize(("refusal", "again"), [("450 later", True), ("550 nobody", False)])
async def test_a_refusal_says_whether_to_try_again(refusal: str, again: bool) -> None:
    async with smtp_sink() as sink:
        sink.refusal = refusal
        with pytest.raises(MailFailed) as caught:
            await SmtpPost(parse_server(sink.url), "a@example.org").send(Mail("b@example.org", "s", "text"))
        assert caught.value.again is again
        assert refusal[:3] in str(caught.value)


async def test_where_nobody_answers() -> None:
    async with smtp_sink() as sink:
        url = sink.url
    with pytest.raises(MailFailed) as caught:
        await SmtpPost(parse_server(url), "a@example.org").send(Mail("b@example.org", "s", "text"))
    assert caught.value.again


async def test_nothing_is_said_to_a_server_elsewhere_before_it_is_encrypted() -> None:
    # It offers no STARTTLS, and its address is not known to be this machine's.
    async with smtp_sink("127.0.0.2") as sink:
        server = parse_server(sink.url.replace("://", "://user:secret@"))
        with pytest.raises(MailFailed):
            await SmtpPost(server, "a@example.org").send(Mail("b@example.org", "s", "text"))
        assert (sink.logins, sink.senders, sink.box.mails) == ([], [], [])


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mail.example.org",
        "http://mail.example.org",
        "smtp://",
        "smtp://h:99999",
        "smtp://h/x",
        "smtp://h?x=1",
    ],
)
def test_what_is_no_mail_server(url: str) -> None:
    with pytest.raises(ValueError, match=r"must|is not a URL"):
        parse_server(url)


def test_ports_and_names() -> None:
    assert parse_server("smtps://mail.example.org").port == 465
    assert parse_server("smtp://mail.example.org").port == 587
    assert "secret" not in repr(parse_server("smtp://u:secret@mail.example.org"))
    for wrong in (
        "a b@example.org",
        "a@b@c",
        "a,b@example.org",
        "a@x\r\nBcc: b@c",
        "ä@example.org",
        "@x",
        "a@",
    ):
        assert not is_email(wrong)
    for right in ("a@localhost", "o'neil+x@mail.example.org"):
        assert is_email(right)
