"""Fixtures for all tests. Keep them few: what a test needs should stand in the test."""

import os

import pytest
from hypothesis import settings

from chamade_mcp.model.access import Caller
from chamade_mcp.tools.client import CoreClient
from chamade_mcp.tools.transport import InProcess
from tests.support.core_api import KEY, PRINCIPAL, FakeCore

# An example that takes long says something of what else the machine does, and nothing of our code.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's CHAMADE_* variables decide anything here, nor in the processes that tests start."""
    for name in [name for name in os.environ if name.startswith("CHAMADE_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def core_api() -> FakeCore:
    """A REST API that behaves by the contract."""
    return FakeCore()


@pytest.fixture
def core_client(core_api: FakeCore) -> CoreClient:
    return CoreClient(InProcess(core_api.app()))


@pytest.fixture
def caller() -> Caller:
    return Caller(
        PRINCIPAL,
        KEY,
        request_id="req-1",
        traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    )
