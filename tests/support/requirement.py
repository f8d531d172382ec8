"""Says which requirements of the public contract a test proves: ``@requirement("R-031", "R-032")``."""

import pytest


def requirement(*ids: str) -> pytest.MarkDecorator:
    """Ids of tests/requirements/requirements.toml."""
    return pytest.mark.requirement(*ids)
