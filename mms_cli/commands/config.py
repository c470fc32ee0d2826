"""``mms config show`` and ``set``: the tenant's settings, under the cmdlets' own names."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from mms_cli.commands import forecasts
from mms_cli.commands.shared import connected
from mms_cli.failures import Exit, UsageError
from mms_cli.rows import field, text_of, write_all, write_object, writer

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from mms_cli.client import Client
    from mms_cli.rows import Row
    from mms_cli.terminal import Screen

_TRUE = ("true", "$true", "on", "yes")
_FALSE = ("false", "$false", "off", "no")
_NULL = ("null", "$null", "none")
_SWITCH: Final = "MeetingMigrationEnabled"
"""The setting whose change is an act: everything starts, or stops."""
_WISHES: Final = {
    "SfbToSfb": ("SfB", "Current"),
    "SfbToTeams": ("SfB", "Teams"),
    "TeamsToTeams": ("Teams", "Teams"),
    "AllToTeams": ("All", "Teams"),
    "ToSameType": ("All", "Current"),
}


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Show settings, or change them."""
    with connected(arguments, screen) as client:
        settings, etag = client.get_with_etag("config")
        if arguments.action == "show":
            wanted = [known(name, settings) for name in arguments.name] or list(settings)
            _show(arguments, screen, {name: settings[name] for name in wanted})
            return Exit.DONE
        changes = read_changes(arguments.change, settings)
        if changes.get(_SWITCH, settings[_SWITCH]) != settings[_SWITCH]:
            is_on = changes[_SWITCH]
            if not arguments.yes:
                screen.confirm(
                    _sentences(screen, client, is_on=is_on), f"Switch {'on' if is_on else 'off'}?", yes=False
                )
        after = client.patch("config", changes, etag=etag)
    if arguments.output != "table":
        _show(arguments, screen, {name: after[name] for name in changes})
        return Exit.DONE
    for name in changes:
        same = "  (as it was)" if settings.get(name) == after[name] else ""
        screen.line(f"{name}: {_value(settings.get(name))} -> {_value(after[name])}{same}")
    return Exit.DONE


def _sentences(screen: Screen, client: Client, *, is_on: bool) -> list[str]:
    """Say what the switch does, in the words of the web page."""
    if not is_on:
        return ["Everything stops before its next write. Nobody gets mail until it is on again."]
    rows = client.get("migrations", {"summaryOnly": "true"})["value"]
    count = next(row["UserCount"] for row in rows if row["State"] == "Pending")
    who = forecasts.counted(count, "user waits", "users wait")
    first = f"{who}: who is due starts at once, the others when they are due."
    query = {"state": "Pending", "orderBy": "due", "top": str(forecasts.MOST)}
    waiting = client.get("migrations", query)["value"] if count else []
    return forecasts.told(first, forecasts.plans(screen, client, [_wish(row) for row in waiting]), count)


def _wish(row: Row) -> dict[str, str]:
    """Return what a run that waits was asked for, as far as its kind tells."""
    identity = row["UserId"] or row["UserPrincipalName"]
    if row["MigrationType"] not in _WISHES:
        return {"identity": identity, "action": "undo"}
    source, target = _WISHES[row["MigrationType"]]
    return {"identity": identity, "sourceMeetingType": source, "targetMeetingType": target}


def _show(arguments: argparse.Namespace, screen: Screen, settings: Mapping[str, Any]) -> None:
    if arguments.output == "json":
        write_object(screen, "json", settings)
        return
    if arguments.output == "list":
        write_object(screen, "list", settings)
        return
    columns = (field("Name"), field("Value", shrinks=True))
    rows = [{"Name": name, "Value": _value(value)} for name, value in settings.items()]
    write_all(writer(screen, arguments.output, columns=columns, names=("Name", "Value")), rows)


def _value(value: object) -> str:
    return "null" if value is None else text_of(value)


def known(name: str, settings: Mapping[str, Any]) -> str:
    """Find a setting in any case, as PowerShell would.

    Raises:
        UsageError: There is none.
    """
    for each in settings:
        if each.lower() == name.lower():
            return each
    raise UsageError(f"there is no setting {name}", remedy="mms config show lists them.")


def read_changes(texts: Sequence[str], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Read ``NAME=VALUE`` as the type that the setting has now.

    Raises:
        UsageError: A name is unknown or a value is of another type.
    """
    changes: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"{text!r} is not NAME=VALUE")
        name = known(name.strip(), settings)
        try:
            changes[name] = _read(value.strip(), settings[name])
        except ValueError:
            raise UsageError(f"{value!r} is no value for {name}, which is {_value(settings[name])} now") from None
    return changes


def _read(text: str, now: object) -> Any:
    lower = text.lower()
    if isinstance(now, bool):
        if lower not in _TRUE + _FALSE:
            raise ValueError
        return lower in _TRUE
    if isinstance(now, list):
        given = json.loads(text) if text.startswith("[") else text.split(",")
        return [each.strip() if isinstance(each, str) else each for each in given if each != ""]
    if now is None or isinstance(now, int):
        # What is null now is a number that is not set: the service says so if it is none.
        return None if lower in _NULL else int(text)
    return text
