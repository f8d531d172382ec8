"""Which redirect URIs may be registered, which are the same, and how an answer is added to one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chamade_mcp.oauth import redirects
from chamade_mcp.oauth.redirects import MAX_CHARS, BadRedirect

GOOD = [
    "https://claude.ai/api/mcp/auth_callback",
    "https://claude.com/api/mcp/auth_callback",
    "https://chatgpt.com/connector/oauth/abc-123",
    "https://chatgpt.com/connector_platform_oauth_redirect",
    "https://www.cursor.com/agents/mcp/oauth/callback",
    "https://example.org:8443/cb?keep=1",
    "https://localhost/cb",
    "http://localhost:8787/callback",
    "http://localhost/callback",
    "http://127.0.0.1:33418",
    "http://[::1]:1234/",
    "cursor://anysphere.cursor-mcp/oauth/callback",
    "vscode://vscode.github-authentication/did-authenticate",
    "com.example.app:/oauth",
    "com.example.app://callback?x=1",
]
BAD = [
    "",
    "javascript:alert(1)",
    "JavaScript:alert(1)",
    "java\tscript:alert(1)",
    " javascript:alert(1)",
    "data:text/html,<script>1</script>",
    "data:text/html;base64,x",
    "vbscript:x",
    "file:///etc/passwd",
    "about:blank",
    "blob:https://example.org/1",
    "ftp://example.org/",
    "myapp:/callback",
    "mailto:a@example.org",
    "http://evil.example/cb",
    "http://localhost.evil.example/cb",
    "http://127.0.0.1.evil.example/cb",
    "http://127.0.0.2/cb",
    "http://2130706433/cb",
    "http://0x7f.1/cb",
    "http://localhost./cb",
    "http://[::2]/cb",
    "http://[::ffff:127.0.0.1]/cb",
    "https://example.org/cb#fragment",
    "https://example.org/cb#",
    "https://user@example.org/cb",
    "https://user:secret@example.org/cb",
    "https://good.example\\@evil.example/cb",
    "https://good.example%00.evil/cb",
    "https://exa mple.org/cb",
    "https://example.org/c b",
    "https://example.org/\r\nlocation: x",
    "https://example.org/<b>",
    'https://example.org/"',
    "https://exämple.org/cb",
    "https:///cb",
    "https://",
    "https://example.org:0/cb",
    "https://example.org:99999/cb",
    "https://*.example.org/cb",
    "//example.org/cb",
    "/cb",
    "https://example.org/" + "a" * MAX_CHARS,
]


@pytest.mark.parametrize("uri", GOOD)
def test_what_may_be_registered(uri: str) -> None:
    redirects.check(uri)
    assert redirects.matches(uri, uri)


@pytest.mark.parametrize("uri", BAD)
def test_what_may_not(uri: str) -> None:
    with pytest.raises(BadRedirect):
        redirects.check(uri)


@given(st.text(max_size=60))
def test_no_text_does_more_than_be_refused(uri: str) -> None:
    try:
        redirects.check(uri)
    except BadRedirect:
        return
    assert uri.isascii()


@pytest.mark.parametrize(
    ("asked", "registered"),
    [
        ("http://localhost:51234/callback", "http://localhost:8787/callback"),
        ("http://localhost:51234/callback", "http://localhost/callback"),
        ("http://127.0.0.1:9/cb?a=1", "http://127.0.0.1:8/cb?a=1"),
        ("http://[::1]:9/cb", "http://[::1]:8/cb"),
    ],
)
def test_on_loopback_any_port_will_do(asked: str, registered: str) -> None:
    assert redirects.matches(asked, registered)


@pytest.mark.parametrize(
    ("asked", "registered"),
    [
        ("https://example.org/cb/", "https://example.org/cb"),
        ("https://example.org/cb?x=1", "https://example.org/cb"),
        ("https://example.org:8443/cb", "https://example.org/cb"),
        ("https://EXAMPLE.org/cb", "https://example.org/cb"),
        ("https://evil.example/cb", "https://example.org/cb"),
        ("https://example.org/cb/../evil", "https://example.org/cb"),
        ("http://127.0.0.1:1/cb", "http://localhost:1/cb"),
        ("http://localhost:1/cb/../evil", "http://localhost:1/cb"),
        ("http://localhost:1/cb?next=evil", "http://localhost:1/cb"),
        ("http://localhost:1@evil.example/cb", "http://localhost:1/cb"),
        ("http://localhost:1/cb#x", "http://localhost:1/cb"),
        ("https://localhost:1/cb", "http://localhost:1/cb"),
        ("javascript:alert(1)", "http://localhost:1/cb"),
        ("cursor://other/cb", "cursor://anysphere.cursor-mcp/cb"),
    ],
)
def test_everything_else_must_be_the_same_to_the_letter(asked: str, registered: str) -> None:
    assert not redirects.matches(asked, registered)


@pytest.mark.parametrize(
    ("uri", "added"),
    [
        ("https://a.example/cb", "https://a.example/cb?code=1%262&state=%C3%A4"),
        ("https://a.example/cb?x=%20", "https://a.example/cb?x=%20&code=1%262&state=%C3%A4"),
        ("https://a.example/cb?", "https://a.example/cb?code=1%262&state=%C3%A4"),
        ("com.example.app:/cb", "com.example.app:/cb?code=1%262&state=%C3%A4"),
    ],
)
def test_an_answer_changes_nothing_of_the_uri(uri: str, added: str) -> None:
    assert redirects.with_parameters(uri, {"code": "1&2", "state": "ä"}) == added


@pytest.mark.parametrize(
    ("uri", "place", "source"),
    [
        ("https://a.example:8443/cb;x", "a.example", "https://a.example:8443"),
        ("http://localhost:9/cb", "localhost", "http://localhost:9"),
        ("http://[::1]:9/cb", "[::1]", "http:"),
        ("cursor://anysphere.cursor-mcp/x", "cursor:", "cursor:"),
    ],
)
def test_what_people_and_browsers_are_told_of_it(uri: str, place: str, source: str) -> None:
    assert (redirects.place(uri), redirects.form_action(uri)) == (place, source)
