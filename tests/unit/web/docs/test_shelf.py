"""The gateway's own address in the documents, and links that lead to where things are served."""

import json
from base64 import b64decode
from urllib.parse import parse_qs, quote, unquote, urlsplit

import pytest

from chamade_mcp.web.docs.shelf import filled, relinked, source_of

URL = "https://voice.example.net:8443"


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("curl $CHAMADE_URL/api", f"curl {URL}/api"),
        ('"${CHAMADE_URL}/api" and $URL/x', f'"{URL}/api" and {URL}/x'),
        ("https://gateway.example.org/mcp/", f"{URL}/mcp/"),
        ("wss://gateway.example.org/api", "wss://voice.example.net:8443/api"),
        ("at gateway.example.org", "at voice.example.net:8443"),
        ("export CHAMADE_URL=http://127.0.0.1:8000 A=1", f"export CHAMADE_URL={URL} A=1"),
        ("Bearer $KEY of $KEYS", "Bearer $CHAMADE_API_KEY of $KEYS"),
        ("`CHAMADE_URL` is http://127.0.0.1:8000, $URLS", "`CHAMADE_URL` is http://127.0.0.1:8000, $URLS"),
        ("a\n<!-- example: x -->\n<!--\nmore -->\nb", "a\nb"),
    ],
)
def test_an_address_is_filled_in(said: str, meant: str) -> None:
    assert filled(said, URL) == meant


def test_sockets_of_a_plain_gateway_are_plain() -> None:
    assert filled("wss://gateway.example.org/x", "http://127.0.0.1:8000") == "ws://127.0.0.1:8000/x"


def test_links_that_set_up_a_client_get_it_too() -> None:
    text = source_of("docs/clients.md")
    assert text is not None
    links = relinked(text, lambda target: target).split("](")
    cursor, code = (next(x for x in links if x.startswith(scheme)) for scheme in ("cursor:", "vscode:"))
    config = parse_qs(urlsplit(filled(cursor.partition(")")[0], URL)).query)["config"][0]
    assert json.loads(b64decode(config))["url"] == f"{URL}/mcp/"
    asked = filled(code.partition(")")[0], URL).partition("?")[2]
    assert json.loads(unquote(asked))["url"] == f"{URL}/mcp/"
    assert quote("gateway.example.org") not in asked


def test_links_are_placed_and_those_without_a_place_keep_their_words() -> None:
    text = "[a](x.md) and [b\nc](y.md#z), ![d](x.md)\n```sh\n[e](x.md)\n```\n[f](x.md)"
    places = {"x.md": "/docs/x"}
    placed = relinked(text, places.get)
    assert placed == "[a](/docs/x) and b\nc, ![d](x.md)\n```sh\n[e](x.md)\n```\n[f](/docs/x)"


def test_there_is_nothing_else_on_the_shelf() -> None:
    assert source_of("docs/nothing.md") is None
    assert source_of("chamade_mcp/connectors/web/README.md") is not None
