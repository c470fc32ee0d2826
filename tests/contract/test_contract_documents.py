"""Documents: small JSON values by kind and key, fenced by ETags."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from mms_core.errors import PreconditionLost, RecordUnreadable

ODD_KEYS = [
    "a/b",
    "a\\b",
    "a#b",
    "a?b",
    "100%",
    "%2F",
    "it's",
    '"quoted"',
    "two  blanks",
    "(@x",
    "👋",
    "Ä",
    "a|b",
    "x" * 1000,
    "tab\tand\x7f",
    " ",
]


async def test_a_document_nobody_wrote_is_none(storage):
    """Reading makes nothing."""
    assert await storage.documents.get("config", "tenant") is None
    assert await storage.documents.list("config") == []


async def test_a_document_comes_back_as_it_was_written(storage):
    """All of JSON, any text."""
    value = {"text": "你好 👋 ' \" \\ \u2028", "flag": True, "none": None, "many": [1, 2.5, {"deep": []}], "": ""}
    etag = await storage.documents.put("config", "tenant", value)
    stored = await storage.documents.get("config", "tenant")
    assert (stored.value, stored.etag) == (value, etag)


async def test_the_stored_document_is_nobodys_variable(storage):
    """Changing what was given, or what was read, changes nothing in the store."""
    value = {"list": [1]}
    await storage.documents.put("config", "tenant", value)
    value["list"].append(2)
    read = (await storage.documents.get("config", "tenant")).value
    assert read == {"list": [1]}
    read["list"].append(3)
    assert (await storage.documents.get("config", "tenant")).value == {"list": [1]}
    assert await storage.documents.list("config") == [{"list": [1]}]


async def test_without_an_etag_the_last_writer_wins(storage):
    """And the old properties are gone."""
    await storage.documents.put("config", "tenant", {"a": 1})
    await storage.documents.put("config", "tenant", {"b": 2})
    assert (await storage.documents.get("config", "tenant")).value == {"b": 2}


async def test_an_empty_etag_writes_only_where_there_is_nothing(storage):
    """The second creator loses."""
    await storage.documents.put("config", "tenant", {"first": True}, etag="")
    with pytest.raises(PreconditionLost):
        await storage.documents.put("config", "tenant", {"second": True}, etag="")
    assert (await storage.documents.get("config", "tenant")).value == {"first": True}


async def test_an_etag_writes_only_over_its_own_version(storage):
    """Each write gives the fence of the next, and an old one does not open any more."""
    first = await storage.documents.put("config", "tenant", {"n": 1})
    second = await storage.documents.put("config", "tenant", {"n": 2}, etag=first)
    assert second != first
    with pytest.raises(PreconditionLost):
        await storage.documents.put("config", "tenant", {"n": 3}, etag=first)
    assert (await storage.documents.get("config", "tenant")).value == {"n": 2}


async def test_an_etag_of_another_document_does_not_create_one(storage):
    """A fenced write where there is no row has lost, it is not an outage."""
    etag = await storage.documents.put("config", "other", {})
    with pytest.raises(PreconditionLost):
        await storage.documents.put("config", "tenant", {"n": 1}, etag=etag)
    assert await storage.documents.get("config", "tenant") is None


async def test_of_many_writers_over_one_version_exactly_one_wins(storage):
    """Two administrators change the settings at once."""
    etag = await storage.documents.put("config", "tenant", {"n": 0})
    results = await asyncio.gather(
        *(storage.documents.put("config", "tenant", {"n": number}, etag=etag) for number in range(1, 6)),
        return_exceptions=True,
    )
    assert sum(isinstance(each, str) for each in results) == 1
    assert sum(isinstance(each, PreconditionLost) for each in results) == 4


@pytest.mark.parametrize("kind", ["config", "snapshot", "name"])
async def test_any_key_is_a_key_of_its_own(storage, kind):
    """Slashes, percent signs, quotes and emoji: stored, read, fenced, and never mistaken for each other."""
    etags = {key: await storage.documents.put(kind, key, {"key": key}, etag="") for key in ODD_KEYS}
    for key, etag in etags.items():
        stored = await storage.documents.get(kind, key)
        assert (stored.value, stored.etag) == ({"key": key}, etag)
    assert await storage.documents.get(kind, "a_b") is None


@pytest.mark.parametrize("length", [1, 40_000])
async def test_a_value_may_hold_half_an_emoji(storage, length):
    """Outlook cuts subjects between surrogates; a preview shows them. Large values are in several parts."""
    value = {"subject": "\ud83d cut 你好" * length, "detail": "whole 👋"}
    await storage.documents.put("preview-1", "000001", value)
    assert (await storage.documents.get("preview-1", "000001")).value == value
    assert await storage.documents.list("preview-1") == [value]


async def test_kinds_do_not_share_keys(storage):
    """The same key under two kinds is two documents."""
    await storage.documents.put("config", "k", {"kind": "config"})
    await storage.documents.put("name", "k", {"kind": "name"})
    assert (await storage.documents.get("config", "k")).value == {"kind": "config"}
    assert await storage.documents.list("config") == [{"kind": "config"}]


async def test_a_list_is_in_the_order_of_its_keys_and_ends_at_top(storage):
    """Keys that count down make it newest first."""
    for number in (3, 1, 4, 2):
        await storage.documents.put("decision", f"{number:016d}-x", {"n": number})
    assert [each["n"] for each in await storage.documents.list("decision")] == [1, 2, 3, 4]
    assert [each["n"] for each in await storage.documents.list("decision", top=2)] == [1, 2]


@pytest.mark.parametrize("kind", ["snapshot", "name"])
async def test_kinds_with_a_document_a_user_cannot_be_listed(storage, kind):
    """They are spread over partitions: a list would be a scan."""
    with pytest.raises(ValueError, match="cannot be listed"):
        await storage.documents.list(kind)


@pytest.mark.parametrize("kind", ["job", "event"], ids=["one partition", "one a user"])
async def test_expired_documents_go_and_the_others_stay(storage, kind):
    """By the instant that they hold; whoever holds none stays, and another kind is not touched."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    for number in range(230):  # more than one transaction takes
        await storage.documents.put(kind, f"old{number}", {"at": (at - timedelta(hours=1 + number)).isoformat()})
    await storage.documents.put(kind, "limit", {"at": at.isoformat()})
    await storage.documents.put(kind, "timeless", {"at": None, "x": 1})
    await storage.documents.put("content", "old1", {"at": (at - timedelta(days=9)).isoformat()})
    assert await storage.documents.expire(kind, field="at", before=at) == 230
    assert await storage.documents.expire(kind, field="at", before=at) == 0
    assert await storage.documents.get(kind, "old7") is None
    for owner, key in ((kind, "limit"), (kind, "timeless"), ("content", "old1")):
        assert await storage.documents.get(owner, key) is not None


@pytest.mark.parametrize("damaged", [{"Value": "{"}, {"Value": "[]"}, {"Value": 7}, {"Other": "x"}], ids=str)
async def test_a_row_that_cannot_be_read_is_named_by_a_code_and_spoils_no_list(tables, damaged):
    """Somebody edited the table by hand; everything else goes on, the nightly clean-up too."""
    documents = tables.documents
    for name in ("a", "b", "c"):
        await documents.put("kind", name, {"id": name, "at": "2026-01-01T00:00:00+00:00"})
    table = await tables.tables.table("State")
    await table.upsert_entity({"PartitionKey": "kind", "RowKey": "b", **damaged}, mode="replace")
    with pytest.raises(RecordUnreadable) as caught:
        await documents.get("kind", "b")
    assert caught.value.code == "RecordUnreadable"
    assert [each["id"] for each in await documents.list("kind")] == ["a", "c"]
    assert await documents.expire("kind", field="at", before=datetime(2026, 2, 1, tzinfo=UTC)) == 2
