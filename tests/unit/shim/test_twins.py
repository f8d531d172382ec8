"""The pure parts of both shims: one table of cases, on which the Python and the Node twin have to agree."""

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from chamade_mcp_shim import failures, messages, policy, settings, sse
from tests.support.requirement import requirement
from tests.support.shim import SHIM

KEY = {"CHAMADE_API_KEY": "chmd_a_b"}
_NODE = """
import * as shim from '%s';
let text = '';
for await (const piece of process.stdin.setEncoding('utf8')) text += piece;
const run = async ([what, ...given]) => {
  switch (what) {
    case 'settings': {
      try {
        const { url, warning } = shim.settings(...given);
        return [url, warning !== null];
      } catch (error) {
        return error.message;
      }
    }
    case 'line': return shim.line(given[0]);
    case 'retryAfter': return shim.retryAfter(given[0]) ?? null;
    case 'headers': {
      const tools = new shim.Tools();
      tools.learn(given[0]);
      const message = shim.read(Buffer.from(JSON.stringify(given[1])));
      return [tools.modernHeaders(message), shim.ownVersion(message), tools.mayRepeat(message)];
    }
    case 'refused': {
      const failed = shim.refused('http://x', given[0], new Headers(given[1]), given[2]);
      const { code, text, action, outcome, again } = failed;
      return [code, text, action, outcome, again, JSON.parse(failed.line(1))];
    }
    case 'delay': {
      const [attempt, again, outcome, retryAfter, mayRepeat] = given;
      const failed = new shim.Failed('X', 'x', 'wait', { again, outcome, retryAfter });
      return shim.delayBefore(attempt, failed, mayRepeat);
    }
    case 'pause': return shim.pauseOfPush(...given);
    case 'events': {
      const parser = new shim.Parser();
      const events = given[0].flatMap((piece) => parser.feed(Buffer.from(piece, 'latin1')));
      return [events.map((e) => [e.data.toString('latin1'), e.id, e.kind]), parser.retryS, parser.pings];
    }
  }
};
const results = [];
for (const each of JSON.parse(text)) results.push(await run(each));
console.log(JSON.stringify(results));
"""


def of_node(cases: list[list[Any]]) -> list[Any]:
    script = _NODE % (SHIM / "node/chamade-mcp-shim.mjs").as_uri()
    command = ["node", "--input-type=module", "-e", script]
    done = subprocess.run(command, input=json.dumps(cases), capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _settings(environment: dict[str, str], stateful: bool) -> object:
    try:
        found = settings.read(environment, stateful=stateful)
    except settings.BadSetting as error:
        return str(error)
    return [found.url, found.warning is not None]


def _headers(listed: object, request: object) -> object:
    tools = messages.Tools()
    tools.learn(listed)
    message = messages.read(messages.dump(request))
    return [tools.modern_headers(message), message.own_version, tools.may_repeat(message)]


def _refused(status: int, headers: dict[str, str], body: str) -> object:
    failed = failures.refused("http://x", status, headers, body.encode())
    wire = json.loads(failed.line(1))
    return [failed.code, failed.text(), failed.action, failed.outcome, failed.again, wire]


def _delay(
    attempt: int, again: bool, outcome: str, retry_after: float | None, may_repeat: bool
) -> float | None:
    failed = failures.Failed("X", "x", "wait", outcome, again, retry_after=retry_after)
    return policy.delay_before(attempt, failed, may_repeat=may_repeat)


def _events(pieces: list[str]) -> object:
    parser = sse.Parser()
    events = [event for piece in pieces for event in parser.feed(piece.encode("latin-1"))]
    return [[[e.data.decode("latin-1"), e.id, e.kind] for e in events], parser.retry_s, parser.pings]


def _line(text: str) -> str:
    return messages.line(text.encode()).decode()


PYTHON: dict[str, Callable[..., object]] = {
    "settings": _settings,
    "line": _line,
    "retryAfter": failures.retry_after,
    "headers": _headers,
    "refused": _refused,
    "delay": _delay,
    "pause": policy.pause_of_push,
    "events": _events,
}


def agree(cases: list[list[Any]], expected: list[Any]) -> None:
    """Both twins answer every case as expected."""
    ours = [PYTHON[name](*given) for name, *given in cases]
    assert json.loads(json.dumps(ours)) == expected
    assert of_node(cases) == expected


@requirement("R-259", "R-260", "R-261")
def test_the_endpoint() -> None:
    table: list[tuple[dict[str, str], bool, str]] = [
        ({}, False, "https://mcp.chamade.io/mcp/"),
        ({}, True, "https://mcp.chamade.io/mcp/?stateful"),
        ({"CHAMADE_URL": "https://dev.chamade.io"}, False, "https://mcp.dev.chamade.io/mcp/"),
        ({"CHAMADE_URL": "https://mcp.chamade.io/"}, False, "https://mcp.chamade.io/mcp/"),
        ({"CHAMADE_URL": "https://mcp.chamade.io/mcp/"}, False, "https://mcp.chamade.io/mcp/"),
        ({"CHAMADE_URL": "https://chamade.io.example.org"}, False, "https://chamade.io.example.org/mcp/"),
        ({"CHAMADE_URL": "https://notchamade.io"}, False, "https://notchamade.io/mcp/"),
        ({"CHAMADE_URL": "https://gateway.example.org"}, False, "https://gateway.example.org/mcp/"),
        ({"CHAMADE_URL": "https://gateway.example.org/"}, True, "https://gateway.example.org/mcp/?stateful"),
        ({"CHAMADE_URL": "https://example.org/voice/"}, False, "https://example.org/voice/mcp/"),
        ({"CHAMADE_URL": "https://example.org/mcp"}, False, "https://example.org/mcp/"),
        ({"CHAMADE_URL": " http://localhost:8000 "}, False, "http://localhost:8000/mcp/"),
        ({"CHAMADE_URL": "http://127.0.0.1:8000"}, False, "http://127.0.0.1:8000/mcp/"),
        ({"CHAMADE_URL": "http://[::1]:8000"}, False, "http://[::1]:8000/mcp/"),
        ({"CHAMADE_MCP_URL": "https://example.org/x"}, False, "https://example.org/x"),
        ({"CHAMADE_MCP_URL": "https://example.org/x?a=1"}, True, "https://example.org/x?a=1&stateful"),
        ({"CHAMADE_MCP_URL": "https://example.org/x?stateful=1"}, True, "https://example.org/x?stateful=1"),
        (
            {"CHAMADE_MCP_URL": "https://example.org/x#y", "CHAMADE_URL": "bad"},
            False,
            "https://example.org/x",
        ),
    ]
    cases = [["settings", KEY | environment, stateful] for environment, stateful, _ in table]
    agree(cases, [[url, False] for *_, url in table])


def test_a_key_in_the_clear_is_warned_of() -> None:
    cases = [
        ["settings", KEY | {"CHAMADE_URL": f"http://{host}"}, False] for host in ("10.0.0.7", "gw.lan:80")
    ]
    ours = [PYTHON["settings"](*given) for _, *given in cases]
    assert ours == [["http://10.0.0.7/mcp/", True], ["http://gw.lan:80/mcp/", True]]
    assert [warned for _, warned in of_node(cases)] == [True, True]


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({}, "CHAMADE_API_KEY is not set"),
        ({"CHAMADE_API_KEY": "  "}, "CHAMADE_API_KEY is not set"),
        ({"CHAMADE_API_KEY": "${user_config.api_key}"}, "CHAMADE_API_KEY is not set"),
        ({"CHAMADE_API_KEY": "chmd_a b"}, "CHAMADE_API_KEY holds characters"),
        ({"CHAMADE_API_KEY": "chmd_a\r\nx: y"}, "CHAMADE_API_KEY holds characters"),
        ({"CHAMADE_API_KEY": "chmd_ä"}, "CHAMADE_API_KEY holds characters"),
        (KEY | {"CHAMADE_URL": "gateway.example.org"}, "CHAMADE_URL is no URL"),
        (KEY | {"CHAMADE_URL": "ftp://example.org"}, "CHAMADE_URL is no URL"),
        (KEY | {"CHAMADE_URL": "https://"}, "CHAMADE_URL is no URL"),
        (KEY | {"CHAMADE_URL": "https://exa mple.org"}, "CHAMADE_URL is no URL"),
        (KEY | {"CHAMADE_URL": "https://example.org:99999"}, "CHAMADE_URL is no URL"),
        (KEY | {"CHAMADE_URL": "https://u:p@example.org"}, "CHAMADE_URL must not hold a user"),
        (KEY | {"CHAMADE_MCP_URL": "example.org"}, "CHAMADE_MCP_URL is no URL"),
    ],
)
def test_a_wrong_setting_is_told(environment: dict[str, str], told: str) -> None:
    text = _settings(environment, False)
    assert isinstance(text, str)
    assert text.startswith(told)
    assert of_node([["settings", environment, False]]) == [text]


def test_a_message_becomes_one_line() -> None:
    table = [
        ("{}", "{}\n"),
        ('{\r\n "a": 1\n}', '{   "a": 1 }\n'),
        ('{"a":"\u2028\u2029\u0085"}', '{"a":"\\u2028\\u2029\\u0085"}\n'),
    ]
    agree([["line", text] for text, _ in table], [line for _, line in table])


def test_retry_after() -> None:
    table = [
        ("5", 5),
        ("0", 0),
        ("1.5", 1.5),
        ("-3", 0),
        ("soon", None),
        ("", None),
        ("nan", None),
        ("inf", None),
    ]
    past = ("Wed, 21 Oct 2015 07:28:00 GMT", 0)
    agree([["retryAfter", text] for text, _ in (*table, past)], [seconds for _, seconds in (*table, past)])


def test_what_may_be_sent_again_and_its_headers() -> None:
    schema = {
        "properties": {"b": {"type": "boolean", "x-mcp-header": "B"}, "s": {"x-mcp-header": "bad token"}}
    }
    reading = {"readOnlyHint": True}
    listed = {"tools": [{"name": "r", "annotations": reading, "inputSchema": schema}, {"name": "w"}, 5]}

    def request(method: str, **params: object) -> dict[str, object]:
        return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}

    meta = {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}
    table: list[tuple[dict[str, object], object]] = [
        (request("tools/list", _meta=meta), [{"mcp-method": "tools/list"}, "2026-07-28", True]),
        (
            request("tools/call", name="r", arguments={"b": True, "s": "x"}),
            [{"mcp-method": "tools/call", "mcp-name": "r", "mcp-param-B": "true"}, None, True],
        ),
        (request("tools/call", name="w"), [{"mcp-method": "tools/call", "mcp-name": "w"}, None, False]),
        (request("tools/call", name=["r"]), [{"mcp-method": "tools/call"}, None, False]),
        (
            request("prompts/get", name="ä"),
            [{"mcp-method": "prompts/get", "mcp-name": "=?base64?w6Q=?="}, None, True],
        ),
        (
            request("resources/read", uri="=?base64?YQ==?="),
            [{"mcp-method": "resources/read", "mcp-name": "=?base64?PT9iYXNlNjQ/WVE9PT89?="}, None, True],
        ),
        (request("future/thing", name="r"), [{"mcp-method": "future/thing"}, None, False]),
        ({"jsonrpc": "2.0", "id": 1, "result": {}}, [{"mcp-method": ""}, None, True]),
    ]
    agree([["headers", listed, message] for message, _ in table], [wanted for _, wanted in table])


def test_how_a_refusal_is_told() -> None:
    cases: list[list[Any]] = [
        ["refused", 401, {}, '{"code":"INVALID_API_KEY","detail":"Invalid or missing API key"}'],
        ["refused", 403, {}, ""],
        ["refused", 404, {}, "<html>"],
        ["refused", 422, {}, '{"title":"Validation failed","errors":[{"field":"a","message":"b"}]}'],
        ["refused", 429, {"retry-after": "7"}, "[]"],
        ["refused", 500, {}, '{"jsonrpc":"2.0","id":null,"error":{"code":-32603,"message":"Oh. "}}'],
        ["refused", 501, {}, '{"detail":"No"}'],
        ["refused", 503, {}, '{"outcome":"unknown","action":"retry","platform":"web","request_id":"r"}'],
        ["refused", 308, {"location": "https://y/"}, ""],
        ["refused", 400, {}, json.dumps({"detail": "x" * 1000})],
    ]  # fmt: skip
    ours = json.loads(json.dumps([PYTHON[name](*given) for name, *given in cases]))
    assert of_node(cases) == ours
    told = [(code, action, outcome, again) for code, _, action, outcome, again, _ in ours]
    assert told == [
        ("INVALID_API_KEY", "ask_human", "not_done", False),
        ("HTTP_403", "ask_human", "not_done", False),
        ("HTTP_404", "ask_human", "not_done", False),
        ("HTTP_422", "fix_argument", "not_done", False),
        ("HTTP_429", "wait", "not_done", True),
        ("HTTP_500", "retry", "unknown", True),
        ("HTTP_501", "retry", "not_done", False),
        ("HTTP_503", "retry", "unknown", True),
        ("REDIRECTED", "ask_human", "not_done", False),
        ("HTTP_400", "fix_argument", "not_done", False),
    ]
    assert len(ours[-1][1]) < 400


def test_when_to_try_again() -> None:
    table: list[tuple[list[Any], float | None]] = [
        ([1, True, "not_done", None, False], 1),
        ([2, True, "not_done", None, False], 2),
        ([3, True, "not_done", None, False], 5),
        ([4, True, "not_done", None, True], None),
        ([1, False, "not_done", None, True], None),
        ([1, True, "unknown", None, False], None),
        ([1, True, "unknown", None, True], 1),
        ([1, True, "not_done", 30, False], 30),
        ([3, True, "not_done", 0.5, False], 5),
        ([1, True, "not_done", 61, True], None),
    ]
    agree([["delay", *given] for given, _ in table], [delay for _, delay in table])


def test_how_long_push_rests() -> None:
    table: list[tuple[int, float | None, float]] = [(1, None, 1), (2, None, 2), (3, None, 5)]
    table += [(1, 0.01, 1), (1, 4, 4), (3, 600, 60), (9, 600, 60)]
    agree([["pause", attempt, wanted] for attempt, wanted, _ in table], [pause for *_, pause in table])
    late: list[list[Any]] = [["pause", 4 + number, None] for number in range(50)]
    for pauses in ([policy.pause_of_push(attempt, None) for _, attempt, _ in late], of_node(late)):
        assert all(5 <= pause < 6 for pause in pauses)
        assert len(set(pauses)) > 1, "many clients must not come back at the same moment"


STREAM = (
    "\xef\xbb\xbfid: 1\nretry: 2500\ndata: a\n\n: ping\n:\n"
    "data:b\r\ndata: \xe2\x80\xa8c\r\n\r\nevent: x\rdata\r\r"
    "id: bad id\nid: 2\ndata: {}\n\nid\ndata: d\n\nunknown: y\n\nretry: soon\ndata: unfinished"
)
EVENTS = [
    ["a", "1", "message"], ["b\n\xe2\x80\xa8c", "1", "message"], ["", "1", "x"],
    ["{}", "2", "message"], ["d", "", "message"],
]  # fmt: skip


def test_events_however_they_are_cut() -> None:
    cases: list[list[Any]] = [
        ["events", [STREAM[i : i + n] for i in range(0, len(STREAM), n)]] for n in range(1, 40)
    ]
    cases += [["events", [STREAM[:at], "", STREAM[at:]]] for at in range(len(STREAM))]
    agree(cases, [[EVENTS, 2.5, 2]] * len(cases))
