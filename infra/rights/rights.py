"""Gives the service its rights, says what is in force, and changes nothing the second time.

    python infra/rights/rights.py register [--azd]     registers the API, its roles and its sign-in
    python infra/rights/rights.py grant    [--azd]     gives the identity what docs/permissions.md lists
    python infra/rights/rights.py check    [--azd]     changes nothing; names what is missing, or too much

Run by an administrator: registering takes Application Administrator, granting Privileged Role Administrator. Signs in
with the Azure CLI or azd session of whoever runs it. ``--azd`` takes tenant, names and ids from the azd environment and
stores MMS_API_AUDIENCE there; else they are options. ``--json`` prints one object a line.

Ends with 0 if everything is as it should be, with 1 if something is missing (``check``) or was refused, with 2 on bad
arguments.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from consents import commands, compare, grant
from directory import Directory, client
from registration import register
from report import Line, RightsError

from mms_core.clouds import CLOUDS


def _azd() -> dict[str, str]:
    answer = subprocess.run(["azd", "env", "get-values", "--output", "json"], check=True, capture_output=True)
    values: dict[str, str] = json.loads(answer.stdout)
    return values


def parse(argv: list[str]) -> argparse.Namespace:
    """Read the arguments; ``--azd`` fills what is not given."""
    parser = argparse.ArgumentParser(
        prog="python infra/rights/rights.py", description="Give the meeting migration service its rights."
    )
    parser.add_argument("command", choices=("register", "grant", "check"))
    parser.add_argument(
        "--azd", action="store_true", help="take ids from the azd environment, keep MMS_API_AUDIENCE there"
    )
    parser.add_argument("--cloud", choices=sorted(CLOUDS), help="the tenant's cloud (default: public)")
    parser.add_argument("--graph-url", help="root of Graph, for a simulated tenant (default: the cloud's)")
    parser.add_argument("--name", help="name of the registration (default: Meeting migration service ENVIRONMENT)")
    parser.add_argument("--url", help="address of the deployed API, for the web page's sign-in")
    parser.add_argument("--principal-id", help="object id of the identity's service principal")
    parser.add_argument("--client-id", help="client id of the identity")
    parser.add_argument("--notice-sender", help="mailbox that notices come from")
    parser.add_argument(
        "--tenant-wide", action="store_true", help="calendars of the whole tenant, without an Exchange scope"
    )
    parser.add_argument("--event-grid", action="store_true", help="let Event Grid post events of a partner topic")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args(argv)
    values = _azd() if options.azd else {}
    options.cloud = options.cloud or values.get("MMS_CLOUD") or "public"
    options.graph_url = options.graph_url or f"{CLOUDS[options.cloud].graph}/v1.0"
    environment = values.get("AZURE_ENV_NAME", "")
    options.name = options.name or f"Meeting migration service {environment}".strip()
    options.url = options.url or values.get("MMS_URL")
    options.principal_id = options.principal_id or values.get("MMS_IDENTITY_PRINCIPAL_ID")
    options.client_id = options.client_id or values.get("MMS_IDENTITY_CLIENT_ID")
    options.notice_sender = options.notice_sender or values.get("MMS_NOTICE_SENDER")
    options.event_grid = options.event_grid or values.get("MMS_EVENT_GRID_PARTNER") == "true"
    if options.command != "register" and not (options.principal_id and options.client_id):
        parser.error(f"{options.command} needs --principal-id and --client-id, or --azd after azd provision")
    return options


async def run(options: argparse.Namespace) -> tuple[int, list[Line], str]:
    """Do it. Returns the exit code, the report, and what is left to do in PowerShell."""
    async with client(options.graph_url) as graph:
        return await _run(Directory(graph), options)


async def _run(directory: Directory, options: argparse.Namespace) -> tuple[int, list[Line], str]:
    if options.command == "register":
        dashboard = f"{options.url.rstrip('/')}/dashboard" if options.url else None
        app_id, lines = await register(directory, name=options.name, dashboard=dashboard, event_grid=options.event_grid)
        return 0, [*lines, Line("kept", "MMS_API_AUDIENCE", app_id)], ""
    facts = {
        "principal_id": options.principal_id,
        "tenant_wide": options.tenant_wide,
        "notices": bool(options.notice_sender),
        "cloud": options.cloud,
    }
    if options.command == "grant":
        lines = await grant(directory, **facts)
    else:
        lines = [line for line, _ in await compare(directory, **facts)]
    wrong = any(line.what == "missing" for line in lines) or (
        options.command == "check" and any(line.what == "surplus" for line in lines)
    )
    text = commands(
        app_id=options.client_id,
        object_id=options.principal_id,
        notices=options.notice_sender,
        cloud=options.cloud,
    )
    return int(wrong), lines, text


def main(argv: list[str]) -> int:
    """Run one command and print its report."""
    options = parse(argv)
    from kiota_abstractions.api_error import APIError

    try:
        code, lines, text = asyncio.run(run(options))
    except RightsError as error:
        print(error, file=sys.stderr)
        return 1
    except APIError as error:
        said = getattr(getattr(error, "error", None), "message", None) or error
        print(f"Graph refused ({error.response_status_code}): {said}", file=sys.stderr)
        print("Whoever runs this needs the directory roles that the head of this file names.", file=sys.stderr)
        return 1
    if options.command == "register" and options.azd:
        subprocess.run(["azd", "env", "set", lines[-1].subject, lines[-1].detail], check=True)
    for line in lines:
        if options.json:
            print(json.dumps({"what": line.what, "subject": line.subject, "detail": line.detail}))
        else:
            print(f"{line.what:8} {line.subject:34} {line.detail}")
    if text and not options.json:
        print(f"\n{text}")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
