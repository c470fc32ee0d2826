"""``mms config show`` and ``set``: the tenant's settings, under the cmdlets' own names."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from mms_cli.commands.shared import connected
from mms_cli.failures import Exit, UsageError
from mms_cli.rows import field, text_of, write_all, write_object, writer

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from mms_cli.client import Client
    from mms_cli.terminal import Screen

_TRUE = ("true", "$true", "on", "yes")
_FALSE = ("false", "$false", "off", "no")
_NULL = ("null", "$null", "none")
_SWITCH: Final = "MeetingMigrationEnabled"
"""The setting whose change is an act: everything starts, or stops."""


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
            screen.confirm([_sentence(client, is_on=is_on)], f"Switch {'on' if is_on else 'off'}?", yes=arguments.yes)
        after = client.patch("config", changes, etag=etag)
    if arguments.output != "table":
        _show(arguments, screen, {name: after[name] for name in changes})
        return Exit.DONE
    for name in changes:
        same = "  (as it was)" if settings.get(name) == after[name] else ""
        screen.line(f"{name}: {_value(settings.get(name))} -> {_value(after[name])}{same}")
    return Exit.DONE


def _sentence(client: Client, *, is_on: bool) -> str:
    """Say what the switch does, in the words of the web page."""
    if not is_on:
        return "Everything stops before its next write. Nobody gets mail until it is on again."
    rows = client.get("migrations", {"summaryOnly": "true"})["value"]
    waiting = next(row["UserCount"] for row in rows if row["State"] == "Pending")
    who = "user waits" if waiting == 1 else "users wait"
    return (
        f"{waiting:,} {who}: who is due starts at once, and everybody invited to a meeting that is changed gets one"
        " update. A user's preview tells who."
    )


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
