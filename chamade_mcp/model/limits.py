"""Limits of the public contract that several layers hold to. What one layer decides alone stands there."""

from datetime import timedelta

MAX_TEXT = 10_000
"""Characters of a message."""
MAX_NAME = 100
"""Characters of a name: an agent's, a sender's, a speaker's, a key's."""
MAX_ATTACHMENTS = 10
"""Files beside one message."""
LONGEST_WAIT_S = 55
"""Of a long-poll of the inbox."""
RING_S = 60
"""How long an incoming call rings before it counts as missed."""
SESSION_LIFE = timedelta(days=30)
"""Of a browser's session on the dashboard."""
