"""How a command can end, and the failures that end it."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes. They are part of the interface: scripts decide by them. :data:`EXPLANATIONS` says what each means."""

    DONE = 0
    SOME_FAILED = 1
    USAGE = 2
    REFUSED = 3
    NO_ACCESS = 4
    UNREACHABLE = 5
    NOT_CONFIRMED = 6
    TIMED_OUT = 7
    INTERRUPTED = 130
    BROKEN_PIPE = 141


EXPLANATIONS: dict[Exit, str] = {
    Exit.DONE: "All went well.",
    Exit.SOME_FAILED: "The command did its work, and something in it failed: a row was refused, a migration failed.",
    Exit.USAGE: "The command line is not understood, or a file that it names cannot be read.",
    Exit.REFUSED: "The service refused; the message has code, cause and remedy.",
    Exit.NO_ACCESS: "Nobody is signed in, or the account lacks the app role.",
    Exit.UNREACHABLE: "The service did not answer, or cannot at the moment; the same command may work later.",
    Exit.NOT_CONFIRMED: "A question was answered with no, or there was no terminal to ask on and no `--yes`.",
    Exit.TIMED_OUT: "What was waited for has not happened in the time given.",
    Exit.INTERRUPTED: "Ctrl-C.",
    Exit.BROKEN_PIPE: "Whoever read the output has gone away.",
}


class CliError(Exception):
    """An expected failure: what happened, what to do, and how the command ends."""

    def __init__(
        self, message: str, *, exit_code: Exit, remedy: str = "", code: str = "", status: int | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.exit_code = exit_code
        self.remedy = remedy
        self.code = code
        self.status = status
        """HTTP status, where the service said it."""


class UsageError(CliError):
    """Something on the command line, or a file named there, is wrong."""

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message, exit_code=Exit.USAGE, remedy=remedy)


class NotSignedIn(CliError):
    """There is no address, or no token for it."""

    def __init__(self, message: str, *, remedy: str) -> None:
        super().__init__(message, exit_code=Exit.NO_ACCESS, remedy=remedy, code="NotSignedIn")
