"""What the command line tells in one line. Imports nothing: `chamade --help` must be quick."""


class SettingsError(Exception):
    """A setting is wrong; the text starts with the variable's name and never shows a secret."""

    def __init__(self, variable: str, problem: str) -> None:
        super().__init__(f"{variable}: {problem}")
        self.variable = variable
