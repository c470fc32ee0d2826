"""Child processes that do not outlive their parent."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_PR_SET_PDEATHSIG: Final = 1
_LIBC: Final = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def die_with_parent(number: signal.Signals = signal.SIGTERM) -> Callable[[], None]:
    """Make the ``preexec_fn`` for a child that gets *number* when this process dies, also when it is killed.

    On Linux only, and only when the main thread starts the child: Linux sends the signal when the *thread* that
    started it ends, which would surprise whoever used a pool. Elsewhere it does nothing.
    """
    parent = os.getpid()
    is_main = threading.current_thread() is threading.main_thread()

    def in_child() -> None:
        if _LIBC is not None and is_main:
            _LIBC.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
            if os.getppid() != parent:  # it died before we asked
                os._exit(1)

    return in_child
