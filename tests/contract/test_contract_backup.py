"""The rehearsal: everything saved, restored into tables of another name, and the service goes on with them."""

from __future__ import annotations

import gzip
import secrets
import stat
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from contract_support import AzuriteStorage, a_record, a_run, an_entry, an_original, guid, keys_in_one_shard

from mms_core.model import State
from mms_core.ports import RunQuery

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "infra"))

import backup

USERS = 25
KEYS = keys_in_one_shard(USERS)  # several transactions' worth of rows in one partition
BODY = "<p>Grüße 你好 👋\r\n" + "x" * 70_000


def run(command, directory, azurite, prefix):
    """The script, as an administrator starts it."""
    return backup.main([command, str(directory), "--connection", azurite.connection_string, "--prefix", prefix])


@pytest.fixture
async def filled(azurite):
    """A service with users, meetings, originals and settings, and the prefix of its tables."""
    prefix = f"T{secrets.token_hex(6)}"
    storage = AzuriteStorage(azurite.connection_string, prefix=prefix)
    for number, key in enumerate(KEYS, 1):
        await storage.users.save(a_record(key, a_run(number)), None)
    claimed = await storage.ledger.claim(KEYS[0], 1)
    for name in ("m1", "m2"):
        await claimed.put(KEYS[0], an_entry(name), an_original(name, body=BODY))
    await storage.documents.put("config", "tenant", {"SettleMinutes": 45})
    yield prefix, storage
    await storage.close()


async def test_what_was_saved_is_restored_and_can_be_worked_with(azurite, filled, tmp_path, capsys):
    """Rows, originals, counters, lists and settings; and the fence of a record holds as before."""
    prefix, before = filled
    other = f"T{secrets.token_hex(6)}"
    assert run("save", tmp_path / "copy", azurite, prefix) == 0
    assert run("restore", tmp_path / "copy", azurite, other) == 0
    printed = capsys.readouterr().out.replace(other, prefix).splitlines()
    assert printed[: len(printed) // 2] == printed[len(printed) // 2 :]
    after = AzuriteStorage(azurite.connection_string, prefix=other)
    try:
        for key in KEYS:
            assert (await after.users.read(key)).value == (await before.users.read(key)).value
        assert await after.users.counts() == await before.users.counts()
        ids = [each.run_id for each in (await after.users.page(RunQuery(top=1000))).runs]
        assert ids == [each.run_id for each in (await before.users.page(RunQuery(top=1000))).runs]
        assert len(ids) == USERS
        assert (await after.documents.get("config", "tenant")).value == {"SettleMinutes": 45}
        assert await after.ledger.entries(KEYS[0]) == await before.ledger.entries(KEYS[0])
        originals = await after.ledger.originals(KEYS[0])
        assert {each.body for each in originals} == {BODY}
        stored = await after.users.read(KEYS[0])
        working = replace(stored.value, current=replace(stored.value.current, state=State.SUCCEEDED))
        await after.users.save(working, stored)
        assert (await after.users.counts())[State.SUCCEEDED] == 1
    finally:
        await after.close()


async def test_a_restore_never_writes_over_rows(azurite, filled, tmp_path, capsys):
    """Two truths in one table are none."""
    prefix, storage = filled
    assert run("save", tmp_path, azurite, prefix) == 0
    assert run("restore", tmp_path, azurite, prefix) == 1
    assert "has rows" in capsys.readouterr().err
    assert (await storage.users.read(KEYS[0])).value.current.run_id == guid(1)


@pytest.mark.parametrize("damage", ["cut", "missing", "short"])
async def test_a_damaged_file_is_found_before_anything_is_written(azurite, filled, tmp_path, capsys, damage):
    """Half a restore would look like a whole one."""
    prefix, _ = filled
    other = f"T{secrets.token_hex(6)}"
    assert run("save", tmp_path, azurite, prefix) == 0
    path = tmp_path / "State.jsonl.gz"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-20])
    elif damage == "missing":
        path.unlink()
    else:
        lines = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
        path.write_bytes(gzip.compress(b"".join(lines[1:])))
    assert run("restore", tmp_path, azurite, other) == 1
    assert "State.jsonl.gz" in capsys.readouterr().err
    after = AzuriteStorage(azurite.connection_string, prefix=other)
    try:
        assert await after.users.read(KEYS[0]) is None
    finally:
        await after.close()


async def test_the_files_are_their_owners_alone(azurite, filled, tmp_path):
    """They hold invitations."""
    assert run("save", tmp_path / "copy", azurite, filled[0]) == 0
    files = sorted((tmp_path / "copy").iterdir())
    assert [each.name for each in files] == sorted(f"{name}.jsonl.gz" for name in backup.TABLES)
    assert {stat.S_IMODE(each.stat().st_mode) for each in files} == {0o600}
