"""chamade_mcp: a self-hosted voice and chat gateway for AI agents."""

__version__ = "0.1.0"
