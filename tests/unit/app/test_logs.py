import io
import logging
from collections.abc import Iterator

import pytest

from chamade_mcp.app.logs import MaskingFormatter, configure, mask

KEY = "chmd_Ab3dEfGh4j_" + "s3cretS3cretS3cretS3cretS3cretS3"
TOKEN = "k3nQ8-zz_Link7oken"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root, ours = logging.getLogger(), logging.getLogger("chamade_mcp")
    before = list(root.handlers), root.level, ours.level
    yield io.StringIO()
    root.handlers, root.level = before[0], before[1]
    ours.setLevel(before[2])
    logging.captureWarnings(capture=False)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (f"key {KEY} used", "key chmd_Ab3dEfGh4j*** used"),
        (f"key {KEY[:30]} cut", "key chmd_Ab3dEfGh4j*** cut"),
        ("key chmd_odd", "key chmd_***"),
        (f"code chmc_{TOKEN}.", "code chmc_***."),
        (f"chmo_{TOKEN} chmr_{TOKEN} chms_{TOKEN}", "chmo_*** chmr_*** chms_***"),
        (f"GET /r/{TOKEN} 200", "GET /r/*** 200"),
        (f"https://x/c/{TOKEN}?a=1", "https://x/c/***?a=1"),
        (f"/live/web/{TOKEN}/files", "/live/web/***/files"),
        (f"/api/files/u/{TOKEN}", "/api/files/u/***"),
        (f"/api/files/{TOKEN}", "/api/files/***"),
        (
            f"/api/call/call_1/stream?api_key={KEY}&rate=16000",
            "/api/call/call_1/stream?api_key=***&rate=16000",
        ),
        ("/callback?code=abc&state=def", "/callback?code=***&state=***"),
        ("/x?access_token=abc'", "/x?access_token=***'"),
        (f"Authorization: Bearer {TOKEN}.x", "Authorization: Bearer ***"),
        (f"{{'authorization': 'bearer {TOKEN}'}}", "{'authorization': 'bearer ***'}"),
    ],
)
def test_secrets_are_masked(text: str, masked: str) -> None:
    assert mask(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "call_k3nabcdefghjkmnpqrst joined room conv_k3nabcdefghjkmnpqrst",
        "GET /api/inbox?platform=web&limit=20",
        "POST /api/files 201",
        "/live/web",
        "the bearer of this",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert mask(text) == text


def test_arguments_and_tracebacks_are_masked(stream: io.StringIO) -> None:
    configure("info", stream)
    log = logging.getLogger("chamade_mcp.somewhere")
    log.info("opened %s", f"/r/{TOKEN}")
    try:
        raise ValueError(f"refused {KEY}")
    except ValueError:
        log.exception("it failed")
    text = stream.getvalue()
    assert "ValueError: refused chmd_Ab3dEfGh4j***" in text
    assert TOKEN not in text
    assert KEY not in text


def test_ours_speak_at_the_level_and_others_only_when_something_is_wrong(stream: io.StringIO) -> None:
    configure("info", stream)
    logging.getLogger("chamade_mcp.core").info("ours")
    logging.getLogger("chamade_mcp.core").debug("too much")
    logging.getLogger("httpx2").info("theirs")
    logging.getLogger("httpx2").warning("trouble")
    lines = stream.getvalue().splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == [
        "INFO    chamade_mcp.core: ours",
        "WARNING httpx2: trouble",
    ]


def test_the_formatter_leaves_the_record_alone() -> None:
    record = logging.LogRecord("x", logging.INFO, "f", 1, "%s", (KEY,), None)
    assert KEY not in MaskingFormatter("%(message)s").format(record)
    assert record.args == (KEY,)
