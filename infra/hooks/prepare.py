"""Before ``azd provision``: the API must be registered, and the secrets are made once and kept.

What infra/environments/NAME.parameters.json says of the environment NAME is put into the azd environment, from which
infra/main.parameters.json takes every parameter: the file is what holds, and a change of it does at the next provision.

``azd`` runs this from azure.yaml. The secrets go into the azd environment (a file on the administrator's machine that
git ignores) and from there into Key Vault; they are never printed. A value that is there already is left alone: a new
one would make every notification of the existing subscriptions look forged until they are renewed.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

INFRA: Final = Path(__file__).resolve().parent.parent
_BYTES: Final = 48  # 64 characters; Graph takes 128 at most


def _secret() -> str:
    return secrets.token_urlsafe(_BYTES)


def _month() -> str:
    """Return the first day of this month: Azure takes no other for a new budget, and lets nobody change it later."""
    return datetime.now(UTC).strftime("%Y-%m-01")


MADE: Final[dict[str, Callable[[], str]]] = {
    "MMS_CLIENT_STATE": _secret,
    "MMS_ACTIVITY_AUTH_ID": _secret,
}
"""What is made once and kept in the azd environment, and how."""


def _parameters(path: Path) -> dict[str, object]:
    given = json.loads(path.read_text(encoding="utf-8"))["parameters"]
    return {name: each["value"] for name, each in given.items()}


def chosen(environment: str) -> dict[str, str]:
    """Return what infra/environments has for *environment*, by the names that azd knows the parameters under."""
    path = INFRA / "environments" / f"{environment}.parameters.json"
    if not path.is_file():
        return {}
    names = _parameters(INFRA / "main.parameters.json")
    variables = {name: re.findall(r"\$\{(\w+)", str(value))[0] for name, value in names.items()}
    return {
        variables[name]: value if isinstance(value, str) else json.dumps(value)
        for name, value in _parameters(path).items()
    }


def _keep(name: str, value: str) -> None:
    subprocess.run(["azd", "env", "set", name, value], check=True)


def main() -> int:
    """Make what is missing. Gives 1 where only an administrator of the directory can go on."""
    if not os.environ.get("MMS_API_AUDIENCE"):
        say = "The API is not registered yet. An administrator of the directory runs, once:\n"
        say += "  python infra/rights/rights.py register --azd\n"
        say += "It stores MMS_API_AUDIENCE in this azd environment; then run azd up again."
        print(say, file=sys.stderr)
        return 1
    for name, value in chosen(os.environ.get("AZURE_ENV_NAME", "")).items():
        if os.environ.get(name) != value:
            print(f"{name}={value} (infra/environments)")
            _keep(name, value)
    # Only with a budget: the month must be the current one when the budget itself is made.
    made = {**MADE, "MMS_BUDGET_START": _month} if os.environ.get("MMS_MONTHLY_BUDGET", "0") != "0" else MADE
    for name, make in made.items():
        if not os.environ.get(name):
            _keep(name, make())
    return 0


if __name__ == "__main__":
    sys.exit(main())
