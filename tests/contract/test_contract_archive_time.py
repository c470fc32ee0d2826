"""The archive of purged rows, and documents that are purged by key."""

from __future__ import annotations

import pytest

from mms_core.adapters.memory import MemoryArchive
from mms_core.adapters.tables import TableArchive


@pytest.fixture
def archive(storage):
    """The archive of whichever storage it is."""
    return TableArchive(storage.tables) if hasattr(storage, "tables") else MemoryArchive()


async def _lines(archive, day):
    return [line async for line in archive.lines(day)]


async def test_lines_come_back_by_day(archive):
    """Whatever is in them; a repeated export overwrites itself."""
    odd = ['{"a": "你好 👋 \u2028 %/#?"}', "{}"]
    await archive.append("20260302", "b", odd)
    await archive.append("20260302", "a/ü", ["{}"])
    await archive.append("20260303", "c", ["3"])
    await archive.append("20260302", "b", odd)
    assert sorted(await _lines(archive, "20260302")) == sorted([*odd, "{}"])
    assert await _lines(archive, "20260303") == ["3"]
    assert await _lines(archive, "20260304") == []


async def test_an_export_of_megabytes_is_kept_whole(archive):
    """A user with thousands of meetings: more than an entity holds."""
    lines = [f'{{"n": {number}, "x": "{hash((number, place))}"}}' for number in range(40_000) for place in (1, 2)]
    await archive.append("20260302", "big", lines)
    await archive.append("20260302", "small", ["last"])
    assert await _lines(archive, "20260302") == [*lines, "last"]


async def test_documents_are_purged_by_key(storage):
    """From the low key on, and before the high one; other kinds are left alone."""
    for key in ("a", "b", "c"):
        await storage.documents.put("poison", key, {"key": key})
    await storage.documents.put("decision", "b", {"key": "b"})
    assert await storage.documents.purge("poison", low="b", high="c") == 1
    assert [each["key"] for each in await storage.documents.list("poison")] == ["a", "c"]
    assert await storage.documents.purge("poison", low="", high="~") == 2
    assert len(await storage.documents.list("decision")) == 1
    with pytest.raises(ValueError, match="purged"):
        await storage.documents.purge("snapshot", low="", high="~")


@pytest.mark.parametrize("key", ["7", "70000000-0000-4000-8000-000000000000", "b/c", "~"])
async def test_a_document_is_removed_by_its_own_key_alone(storage, key):
    """Not those whose keys begin with it; of any kind, and it need not be there."""
    await storage.documents.put("need", key, {"key": key})
    await storage.documents.put("snapshot", key, {"key": key})
    for other in (f"{key}0", f"{key}-0", f"{key}~", "70"):
        await storage.documents.put("need", other, {"key": other})
    for _ in range(2):
        await storage.documents.remove("need", key)
        await storage.documents.remove("snapshot", key)
    assert await storage.documents.get("need", key) is None
    assert await storage.documents.get("snapshot", key) is None
    assert {each["key"] for each in await storage.documents.list("need")} == {f"{key}0", f"{key}-0", f"{key}~", "70"}
