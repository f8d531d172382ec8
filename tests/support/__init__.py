"""Fakes that behave, and servers that tests start."""
