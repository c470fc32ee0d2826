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
from typing import Final

MADE: Final = ("MMS_CLIENT_STATE", "MMS_ACTIVITY_AUTH_ID")
_BYTES: Final = 48  # 64 characters; Graph takes 128 at most


def main() -> int:
    """Make what is missing. Gives 1 where only an administrator of the directory can go on."""
    if not os.environ.get("MMS_API_AUDIENCE"):
        say = "The API is not registered yet. An administrator of the directory runs, once:\n"
        say += "  python infra/rights/rights.py register --azd\n"
        say += "It stores MMS_API_AUDIENCE in this azd environment; then run azd up again."
        print(say, file=sys.stderr)  # noqa: T201
        return 1
    for name in MADE:
        if not os.environ.get(name):
            value = secrets.token_urlsafe(_BYTES)
            subprocess.run(["azd", "env", "set", name, value], check=True)  # noqa: S603, S607
    return 0


if __name__ == "__main__":
    sys.exit(main())
