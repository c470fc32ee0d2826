"""Before ``azd provision``: the API must be registered, and the secrets are made once and kept.

``azd`` runs this from azure.yaml. The secrets go into the azd environment (a file on the administrator's machine that
git ignores) and from there into Key Vault; they are never printed. A value that is there already is left alone: a new
one would make every notification of the existing subscriptions look forged until they are renewed.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_BYTES: Final = 48  # 64 characters; Graph takes 128 at most


def _secret() -> str:
    return secrets.token_urlsafe(_BYTES)


def _month() -> str:
    """Return the first day of this month: Azure takes no other for a new budget, and lets nobody change it later."""
    return datetime.now(UTC).strftime("%Y-%m-01")


MADE: Final[dict[str, Callable[[], str]]] = {
    "MMS_CLIENT_STATE": _secret,
    "MMS_ACTIVITY_AUTH_ID": _secret,
    "MMS_BUDGET_START": _month,
}
"""What is made once and kept in the azd environment, and how."""


def main() -> int:
    """Make what is missing. Gives 1 where only an administrator of the directory can go on."""
    if not os.environ.get("MMS_API_AUDIENCE"):
        say = "The API is not registered yet. An administrator of the directory runs, once:\n"
        say += "  python infra/rights/rights.py register --azd\n"
        say += "It stores MMS_API_AUDIENCE in this azd environment; then run azd up again."
        print(say, file=sys.stderr)
        return 1
    for name, make in MADE.items():
        if not os.environ.get(name):
            subprocess.run(["azd", "env", "set", name, make()], check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
