"""Saves the service's tables to files, and restores them into an account that has none.

    python infra/backup.py save DIRECTORY --account https://NAME.table.core.windows.net
    python infra/backup.py restore DIRECTORY --account https://OTHER.table.core.windows.net

Signs in with the Azure CLI or azd session of whoever runs it: Storage Table Data Reader for saving, Storage Table Data
Contributor for restoring. One file a table, a row a line. Save while ``MeetingMigrationEnabled`` is false and nothing
is InProgress; a copy of rows that change meanwhile holds some of them before and some after.

The files hold what invitations say (the originals for undo). Keep them as you keep the mailboxes.

Ends with 0, with 1 if a table that is to be restored has rows or a file is damaged, with 2 on bad arguments.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from azure.data.tables import TableServiceClient

TABLES: Final = ("Users", "Ledger", "State", "Archive")
_MOST_ROWS: Final = 100
"""Of one transaction; all in one partition."""
_MOST_BYTES: Final = 3 * 1024 * 1024
"""Of one transaction, as text: a request takes 4 MiB."""
_PLAIN: Final = (str, bool, int)


class BackupError(Exception):
    """Something that a person has to look at; the text says what."""


def _line(row: dict[str, Any]) -> str:
    """Write a row; bytes as ``{"base64": ...}``. Raises ``BackupError`` for what no row of the service holds."""
    written: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, bytes):
            written[name] = {"base64": base64.b64encode(value).decode()}
        elif type(value) in _PLAIN:
            written[name] = value
        else:
            raise BackupError(f"property {name} is a {type(value).__name__}, which no row of the service holds")
    return json.dumps(written, separators=(",", ":"))


def _row(line: str) -> dict[str, Any]:
    """Read what :func:`_line` wrote."""
    return {
        name: base64.b64decode(value["base64"]) if isinstance(value, dict) else value
        for name, value in json.loads(line).items()
    }


def save(service: TableServiceClient, directory: Path, *, prefix: str) -> dict[str, int]:
    """Write every table to a file. Returns the rows of each."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    counts: dict[str, int] = {}
    there = {each.name for each in service.list_tables()}
    for name in TABLES:
        rows = service.get_table_client(prefix + name).list_entities() if prefix + name in there else ()
        part = directory / f"{name}.jsonl.gz.part"
        # Born readable by its owner alone: it holds invitations.
        with (
            os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as raw,
            gzip.open(raw, "wt", encoding="utf-8") as out,
        ):
            counts[name] = 0
            for row in rows:
                out.write(_line(dict(row)) + "\n")
                counts[name] += 1
            out.write(json.dumps({"rows": counts[name]}) + "\n")
        part.replace(directory / f"{name}.jsonl.gz")
    return counts


def _lines(path: Path) -> Iterator[str]:
    """Yield the rows' lines of a file.

    Raises:
        BackupError: It is cut, or was changed.
    """
    count, last = 0, ""
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for line in file:
                if last:
                    yield last
                    count += 1
                last = line
        if json.loads(last or "{}") != {"rows": count}:
            raise BackupError(f"{path.name} is cut: {count} rows, and then {last[:40]!r}")
    except (OSError, EOFError, ValueError) as exc:
        raise BackupError(f"{path.name} cannot be read: {exc}") from exc


def _batches(lines: Iterable[str]) -> Iterator[list[dict[str, Any]]]:
    """Group rows that follow one another into transactions."""
    batch: list[dict[str, Any]] = []
    size = 0
    for line in lines:
        row = _row(line)
        is_full = len(batch) == _MOST_ROWS or size + len(line) > _MOST_BYTES
        if batch and (is_full or row["PartitionKey"] != batch[0]["PartitionKey"]):
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += len(line)
    if batch:
        yield batch


def restore(service: TableServiceClient, directory: Path, *, prefix: str) -> dict[str, int]:
    """Write the files' rows into tables that have none. Returns the rows of each.

    Raises:
        BackupError: A file is missing or damaged, or a table has rows; then nothing has been written.
    """
    files = {name: directory / f"{name}.jsonl.gz" for name in TABLES}
    counts = {name: sum(1 for _ in _lines(path)) for name, path in files.items()}
    for name in TABLES:
        service.create_table_if_not_exists(prefix + name)
        if any(True for _ in service.get_table_client(prefix + name).list_entities(results_per_page=1)):
            raise BackupError(f"table {prefix + name} has rows: restore into an account of its own, or delete them")
    for name, path in files.items():
        table = service.get_table_client(prefix + name)
        for batch in _batches(_lines(path)):
            table.submit_transaction([("create", row) for row in batch])
    return counts


def _service(options: argparse.Namespace) -> TableServiceClient:
    from azure.data.tables import TableServiceClient
    from azure.identity import AzureCliCredential, AzureDeveloperCliCredential, ChainedTokenCredential

    if options.connection:
        return TableServiceClient.from_connection_string(options.connection)
    credential = ChainedTokenCredential(AzureCliCredential(), AzureDeveloperCliCredential())
    return TableServiceClient(options.account, credential=credential)


def main(argv: list[str]) -> int:
    """Do it, and print the rows of each table."""
    parser = argparse.ArgumentParser(prog="python infra/backup.py", description="Save or restore the service's tables.")
    parser.add_argument("command", choices=("save", "restore"))
    parser.add_argument("directory", type=Path)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--account", help="address of the account's tables")
    where.add_argument("--connection", help="connection string, for the emulator")
    parser.add_argument("--prefix", default="Mms", help="MMS_TABLE_PREFIX (default: Mms)")
    options = parser.parse_args(argv)
    work = save if options.command == "save" else restore
    try:
        with _service(options) as service:
            counts = work(service, options.directory, prefix=options.prefix)
    except BackupError as error:
        print(error, file=sys.stderr)
        return 1
    for name, count in counts.items():
        print(f"{count:>10} {options.prefix}{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
