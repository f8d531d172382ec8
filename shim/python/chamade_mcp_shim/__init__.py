"""MCP over stdio for clients, MCP over Streamable HTTP towards a Chamade gateway."""

__version__ = "0.1.0"
