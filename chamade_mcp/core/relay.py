"""May a tool be used? The client's question goes to the operator's own conversation, the answer back.

Questions live in memory for ten minutes. The client shows its own dialog all the while, and takes the answer
that comes first. What is said here is between the operator and the gateway: the agent reads none of the
answers.
"""

import logging
import re
import secrets
from dataclasses import dataclass
from typing import Final, Protocol

from chamade_mcp.core.inbox import Inbox
from chamade_mcp.core.mcp_sessions import McpSessions
from chamade_mcp.core.operators import Operator, Operators
from chamade_mcp.core.replies import Correspondent
from chamade_mcp.kit.clock import Clock
from chamade_mcp.model.access import Principal, Scope
from chamade_mcp.model.errors import GatewayError, NotFound
from chamade_mcp.model.facts import MessageReceived
from chamade_mcp.model.ids import AccountId, ConnectionId, ConversationId, Platform
from chamade_mcp.model.permissions import PermissionRequest

log = logging.getLogger(__name__)
audit = logging.getLogger("chamade_mcp.audit")

ANSWER_S: Final = 600.0
MOST_OPEN: Final = 20
"""Questions to one operator: a client that asks more is not relayed until some are answered or expire."""
_LETTERS: Final = "abcdefghijkmnopqrstuvwxyz"
"""Without the l, which reads as a 1; the letters of Claude Code's own codes."""
_CODE: Final = re.compile(rf"[{_LETTERS}]{{5}}")
_ANSWER: Final = re.compile(rf"\s*(y|yes|n|no)\s+([{_LETTERS}]{{5}})[\s.!]*", re.IGNORECASE)
_MOST_NAME, _MOST_WORDS = 80, 300
"""Characters of the tool's name, and of what is said about its use."""


class VerdictLine(Protocol):
    """The way back to the client that asked; harmless once its session is over."""

    async def tell_verdict(self, session: str, request_id: str, *, allow: bool) -> None: ...


@dataclass(slots=True)
class _Question:
    whom: Correspondent
    code: str
    session: str
    request: PermissionRequest
    expires: float
    allowed: bool | None = None


class PermissionRelay:
    """Without an operator it asks nobody. `line` is set once there is one: it is built on top of this."""

    def __init__(self, operators: Operators, inbox: Inbox, sessions: McpSessions, clock: Clock) -> None:
        self.line: VerdictLine | None = None
        self._operators = operators
        self._sessions = sessions
        self._inbox = inbox
        self._clock = clock
        self._asked: dict[tuple[ConversationId, str], _Question] = {}
        """With those that were answered or have expired, for a while: so that one who answers twice or too
        late is told so."""

    # --- from the client -----------------------------------------------------------------------------------

    async def requested(self, principal: Principal, session: str, request: PermissionRequest) -> bool:
        """Whether somebody is asked. One that cannot be put is dropped: the client's own dialog stays.

        Raises `NotFound` for a session that the caller did not open: its client would take the verdict.
        """
        record = await self._sessions.find(session)
        if record is None or not record.belongs_to(principal):
            raise NotFound("MCP session not found", code="SESSION_NOT_FOUND")
        try:
            operator = await self._operators.of(principal.scope)
            return operator is not None and await self._ask(operator, session, request)
        except GatewayError as error:
            log.warning("a request for permission was not relayed: %s", error)
            return False

    async def _ask(self, operator: Operator, session: str, request: PermissionRequest) -> bool:
        whom, now = operator.whom, self._clock.monotonic()
        self._tidy(now)
        open_ = [q for q in self._asked.values() if q.whom == whom and q.allowed is None and now < q.expires]
        if any(q.session == session and q.request.id == request.id for q in open_):
            return True
        if len(open_) >= MOST_OPEN:
            log.warning(
                "a request for permission was not relayed: %s has %s open", whom.conversation, MOST_OPEN
            )
            return False
        code = self._code(whom.conversation, request.id)
        question = _Question(whom, code, session, request, now + ANSWER_S)
        self._asked[whom.conversation, code] = question
        audit.info(
            "permission asked: %s for tool %r of session %s, agent %s, operator %s",
            code,
            request.tool_name[:_MOST_NAME],
            session[:8],
            whom.scope.agent,
            whom.conversation,
        )
        try:
            await self._inbox.say(whom, _words(question))
        except GatewayError:
            del self._asked[whom.conversation, code]
            raise
        return True

    def _code(self, conversation: ConversationId, wanted: str) -> str:
        """The client's own where it is free: the person may see it there, too."""
        code = wanted.lower()
        while _CODE.fullmatch(code) is None or (conversation, code) in self._asked:
            code = "".join(secrets.choice(_LETTERS) for _ in range(5))
        return code

    # --- from the operator ---------------------------------------------------------------------------------

    async def took(self, scope: Scope, link: tuple[Platform, ConnectionId], fact: MessageReceived) -> bool:
        """Whether this message was the operator's answer to a question, and nothing for the agent."""
        form = _answer(fact)
        if form is None:
            return False
        operator = await self._operators.of(scope)
        if operator is None or (operator.whom.link, operator.whom.ref) != (link, fact.conversation):
            return False
        if await self._inbox.received_aside(operator.whom, fact):
            told = await self._answered(operator.whom, form[2].lower(), allow=form[1][0] in "yY")
            try:
                await self._inbox.say(operator.whom, told)
            except GatewayError as error:
                log.warning("an operator was not told what became of an answer: %s", error)
        return True

    async def _answered(self, whom: Correspondent, code: str, *, allow: bool) -> str:
        """What the operator is told."""
        question = self._asked.get((whom.conversation, code))
        if question is None:
            return (
                f'There is no question with the code "{code}", so nothing was answered. If that was meant '
                "for the agent, please put it in other words."
            )
        if question.allowed is not None:
            return f'"{code}" was answered before: {"yes" if question.allowed else "no"}. It stays so.'
        if self._clock.monotonic() >= question.expires:
            return f'"{code}" has expired, so nothing was answered. The program may ask again.'
        question.allowed = allow
        audit.info(
            "permission %s: %s for session %s, agent %s, by operator %s",
            "given" if allow else "refused",
            code,
            question.session[:8],
            whom.scope.agent,
            whom.conversation,
        )
        if self.line is not None:
            await self.line.tell_verdict(question.session, question.request.id, allow=allow)
        return (
            f"Passed on: {'yes' if allow else 'no'} to {_one_line(question.request.tool_name, _MOST_NAME)}."
        )

    # --- changes -------------------------------------------------------------------------------------------

    async def appoint(self, principal: Principal, conversation: str) -> Operator:
        """Both the new operator and the one before are told: nobody is replaced unseen. Raises `NotFound`."""
        operator, before = await self._operators.appoint(principal, conversation)
        if before is None or before.whom != operator.whom:
            await self._leave(before)
            await self._tell(
                operator.whom,
                "From now on, questions whether the agent may use a tool are asked here. Whoever writes in "
                "this conversation can answer them.",
            )
        return operator

    async def dismiss(self, principal: Principal) -> None:
        await self._leave(await self._operators.dismiss(principal))

    async def forget(self, account: AccountId) -> None:
        """The account goes."""
        self._asked = {at: q for at, q in self._asked.items() if q.whom.scope.account != account}

    async def _leave(self, before: Operator | None) -> None:
        if before is not None:
            self._asked = {at: q for at, q in self._asked.items() if q.whom != before.whom}
            await self._tell(before.whom, "Questions about the agent's tools are not asked here any more.")

    async def _tell(self, whom: Correspondent, text: str) -> None:
        try:
            await self._inbox.say(whom, text)
        except GatewayError as error:
            log.warning("%s was not told of a change of operator: %s", whom.conversation, error)

    def _tidy(self, now: float) -> None:
        for at, question in list(self._asked.items()):
            if now >= question.expires + ANSWER_S:
                del self._asked[at]
                if question.allowed is None:
                    audit.info("permission expired: %s, agent %s", question.code, question.whom.scope.agent)


def may_be_answer(fact: MessageReceived) -> bool:
    """Whether `took` has anything to look up: as a rule not."""
    return _answer(fact) is not None


def _answer(fact: MessageReceived) -> re.Match[str] | None:
    return None if fact.attachments else _ANSWER.fullmatch(fact.text)


def _words(question: _Question) -> str:
    request, code = question.request, question.code
    lines = [f"May the agent use {_one_line(request.tool_name, _MOST_NAME) or 'a tool'}?"]
    lines.append(_one_line(request.description, _MOST_WORDS))
    if preview := _one_line(request.input_preview, _MOST_WORDS):
        lines.append("`" + preview.replace("`", "'") + "`")
    lines.append(f'Answer "yes {code}" or "no {code}" within {ANSWER_S / 60:.0f} minutes.')
    return "\n".join(line for line in lines if line)


def _one_line(words: str, most: int) -> str:
    """The client's words, so that they cannot look like lines of ours."""
    line = " ".join("".join(c if c.isprintable() else " " for c in words).split())
    return line if len(line) <= most else line[: most - 1] + "…"
