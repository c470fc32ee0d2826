"""Streams for tests of the terminal."""

from __future__ import annotations

import io


class Stream(io.StringIO):
    """A stream that may be a terminal."""

    def __init__(self, text="", *, is_terminal=False):
        super().__init__(text)
        self._is_terminal = is_terminal

    def isatty(self):
        """Say what it was made as."""
        return self._is_terminal
