"""The ready-made jobs."""

import re
from typing import Any, cast

import pytest

from chamade_mcp.sessions.surface import ProtocolFault
from chamade_mcp.tools.prompts import PROMPTS, Prompt, render
from chamade_mcp.tools.registry import TOOLS

GIVEN = {"meeting_url": "https://meet.example/{number}", "number": "+33123456789"}


def arguments_of(prompt: Prompt) -> dict[str, str]:
    return {argument.name: GIVEN[argument.name] for argument in prompt.arguments}


def text_of(prompt: Prompt) -> str:
    (message,) = cast(list[dict[str, Any]], render(prompt.name, arguments_of(prompt))["messages"])
    return message["content"]["text"]


@pytest.mark.parametrize("prompt", PROMPTS, ids=lambda p: p.name)
def test_a_prompt_is_filled_in(prompt: Prompt) -> None:
    text = text_of(prompt)
    for argument in prompt.arguments:
        assert GIVEN[argument.name] in text
        assert f"{{{argument.name}}}" in prompt.text
    assert set(re.findall(r"chamade_\w+", text)) <= {tool.name for tool in TOOLS}


def test_each_argument_is_said_to_be_required() -> None:
    wire = [prompt.to_wire() for prompt in PROMPTS]
    assert [w["name"] for w in wire] == [
        "answer-my-dms",
        "join-meeting-and-take-notes",
        "phone-this-number",
    ]
    for each in wire:
        for argument in cast(list[dict[str, Any]], each.get("arguments", [])):
            assert argument["required"] is True


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("no-such-prompt", {}),
        ("answer-my-dms", {"number": "1"}),
        ("phone-this-number", {}),
        ("phone-this-number", {"number": "  "}),
        ("phone-this-number", {"number": "1" * 2001}),
    ],
)
def test_wrong_arguments(name: str, arguments: dict[str, str]) -> None:
    with pytest.raises(ProtocolFault) as caught:
        render(name, arguments)
    assert caught.value.code == -32602
