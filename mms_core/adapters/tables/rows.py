"""Rows of the users' table: which rows a run has, how they are named, and what is in them. Pure.

A user lives in one of the partitions of :func:`~mms_core.adapters.tables.clients.shard`, and everything that changes
together is in that partition, so that one entity group transaction writes it:

========================================  =================================================================
row key                                   what
========================================  =================================================================
``u|<key>``                               the record: the truth, fenced by its ETag
``r|<key>|<inverted>|<run>``              a run in its user's history
``t|<inverted>|<run>|<key>``              the run in order of time
``s|<State>|<inverted>|...``              the run among those of its state
``m|<MigrationType>|<inverted>|...``      the run among those of its type
``n|<State>|<MigrationType>|...``         the run among those of its state and type
``e|<rule>|<inverted>|...``               the run among those that a trigger of this rule has joined
``w|<due>|<run>|<key>``                   a run that waits, in order of its due time
``c|users``                               counters: see :mod:`.counters`
========================================  =================================================================

``<inverted>`` counts microseconds down from a large number: ascending keys are newest first. Every row has ``V``, the
version of its schema. Source: Azure Table Storage, "Designing scalable and performant tables" (log tail pattern, EGT).
"""

from __future__ import annotations

import zlib
from dataclasses import MISSING, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from azure.data.tables import UpdateMode

from mms_core.adapters.tables.clients import decoding, key_safe
from mms_core.model import Run, State, UserRecord

SCHEMA: Final = 1
COUNTERS: Final = "c|users"
_FAR: Final = 10**16
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST_TEXT: Final = 30_000
"""Characters in a property: 64 KiB of UTF-16, less a margin."""
_DEFAULTS: Final = {each.name: msgspec.to_builtins(each.default) for each in fields(Run) if each.default is not MISSING}


def ascending(at: datetime) -> str:
    """Return an instant as a key that sorts oldest first."""
    return f"{(at - _EPOCH) // timedelta(microseconds=1):016d}"


def inverted(at: datetime) -> str:
    """Return an instant as a key that sorts newest first."""
    return f"{_FAR - (at - _EPOCH) // timedelta(microseconds=1):016d}"


def rule_of(reason: str) -> str:
    """Return the part of a run's reason that it is listed by: the trigger's rule."""
    return key_safe(reason.partition(" ")[0])


def run_keys(key: str, run: Run) -> list[str]:
    """Return the keys of all rows of a run."""
    # With the key: a run that moves from a name's record to the user's is in both for a moment, with one id.
    suffix = f"{inverted(run.created_at)}|{run.run_id}|{key}"
    keys = [
        f"r|{key}|{suffix}",
        f"t|{suffix}",
        f"s|{run.state}|{suffix}",
        f"m|{run.migration_type}|{suffix}",
        f"n|{run.state}|{run.migration_type}|{suffix}",
        *(f"e|{rule}|{suffix}" for rule in dict.fromkeys(map(rule_of, run.reasons))),
    ]
    if run.state is State.PENDING:
        keys.append(f"w|{ascending(run.due_at)}|{run.run_id}|{key}")
    return keys


def encoded(run: Run) -> str:
    """Return a run as its rows hold it: JSON without what is as by default, for there are many such rows."""
    values = msgspec.to_builtins(replace(run, undo_events=()))
    slim = {name: value for name, value in values.items() if name not in _DEFAULTS or _DEFAULTS[name] != value}
    return msgspec.json.encode(slim).decode()


def decoded(entity: Any) -> Run:
    """Return the run that a row holds. Raises ``RecordUnreadable``."""
    with decoding():
        return msgspec.json.decode(entity["Run"], type=Run)


def packed(record: UserRecord) -> dict[str, Any]:
    """Return the record's properties: readable in any table browser, compressed where they would not fit."""
    text = msgspec.json.encode(record).decode()
    content = {"Record": text} if len(text) <= _LONGEST_TEXT else {"RecordZ": zlib.compress(text.encode())}
    code = record.newest.code if record.newest.state is State.FAILED else None
    return {**content, "State": str(record.newest.state), **({"Code": code} if code else {}), "V": SCHEMA}


def unpacked(entity: Any) -> UserRecord:
    """Return the record of a row. Raises ``RecordUnreadable``."""
    with decoding():
        text = entity["Record"] if "Record" in entity else zlib.decompress(entity["RecordZ"])
        return msgspec.json.decode(text, type=UserRecord)


def runs_in(record: UserRecord | None) -> dict[str, Run]:
    """Return the runs of a record by their ids."""
    return {} if record is None else {run.run_id: run for run in record.runs}


def operations(partition: str, record: UserRecord, before: UserRecord | None) -> list[tuple[Any, ...]]:
    """Return what a transaction has to do so that the rows of a record's runs are as the record says."""
    steps: list[tuple[Any, ...]] = []
    old_runs = runs_in(before)
    for run_id, run in runs_in(record).items():
        old = old_runs.get(run_id)
        if old == run:
            continue
        keys = run_keys(record.key, run)
        content = {
            "PartitionKey": partition,
            "Run": encoded(run),
            "State": str(run.state),
            "MigrationType": run.migration_type,
            "V": SCHEMA,
        }
        steps += [("upsert", {**content, "RowKey": key}, {"mode": UpdateMode.REPLACE}) for key in keys]
        if old is not None:
            gone = [key for key in run_keys(record.key, old) if key not in keys]
            steps += [("delete", {"PartitionKey": partition, "RowKey": key}) for key in gone]
    return steps


def is_listed_alike(record: UserRecord, before: UserRecord) -> bool:
    """Say whether lists would name the same rows for both: then a record may be written without them."""
    old, new = runs_in(before), runs_in(record)
    return old.keys() == new.keys() and all(
        run_keys(record.key, old[run_id]) == run_keys(record.key, run) for run_id, run in new.items()
    )
