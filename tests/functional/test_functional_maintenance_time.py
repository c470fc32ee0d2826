"""Poisoned and unknown messages are kept, shown, and put back by one command."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from mms_core import maintenance, wiring
from mms_core.adapters.memory import MemoryArchive
from mms_core.messages import UsersChanged, encode


@pytest.fixture
def command(world, monkeypatch, capsys):
    """The command over this world's storage."""
    archive = MemoryArchive()

    async def close():
        return None

    monkeypatch.setattr(wiring, "recovery", lambda: world.recovery, raising=False)
    monkeypatch.setattr(wiring, "archive", lambda: archive)
    monkeypatch.setattr(wiring, "close", close, raising=False)

    async def run(*words):
        arguments = dict(zip(("what", "id"), words, strict=False)) | {"day": words[-1]}
        code = await maintenance._run(SimpleNamespace(**arguments))
        return code, capsys.readouterr()

    return SimpleNamespace(run=run, archive=archive)


async def test_a_poisoned_message_is_shown_and_replayed(world, command):
    """As it was, with its attempts counted from the beginning."""
    message = UsersChanged(users=("u1",), received="now", attempt=9)
    await world.recovery.poisoned(encode(message))
    code, shown = await command.run("messages")
    message_id = shown.out.split()[0]
    assert (code, '"users":["u1"]' in shown.out) == (0, True)
    assert (await command.run("replay", message_id))[0] == 0
    assert [each for _, each in world.queue.messages] == [UsersChanged(users=("u1",), received="now")]
    assert f" by {maintenance.operator()} " in (await command.run("messages"))[1].out
    (row,) = [each for each in await world.documents.list("decision") if each["rule"] == "Replay"]
    assert (row["actor"], row["proof"], row["outcome"], row["messageId"]) == (
        maintenance.operator(),
        "operatingSystem",
        "accepted",
        message_id,
    )


async def test_an_unknown_message_is_kept_whole_and_says_why_it_cannot_be_replayed(world, command):
    """A newer version's message after a downgrade: nothing is dropped."""
    text = '{"kind": "fromTheFuture", "v": 9}'
    await world.recovery.poisoned(text)
    _, shown = await command.run("messages")
    assert text in shown.out
    code, said = await command.run("replay", shown.out.split()[0])
    assert (code, "not understood" in said.err) == (1, True)
    assert world.queue.messages == []


async def test_an_id_that_is_not_there_is_an_error(world, command):
    """Not a silent success; and it is known who tried."""
    assert (await command.run("replay", "nothing"))[0] == 1
    (row,) = await world.documents.list("decision")
    assert (row["answer"], row["outcome"], row["actor"]) == ("refuse", "NotFound", maintenance.operator())


async def test_a_user_without_a_name_is_still_told_from_others(monkeypatch):
    """A container may run as a number."""

    def nameless():
        raise OSError

    monkeypatch.setattr(maintenance.getpass, "getuser", nameless)
    assert maintenance.operator().startswith("unknown@")
    assert len(maintenance.operator()) > len("unknown@")


async def test_an_export_is_printed_line_by_line(command):
    """As JSON lines."""
    await command.archive.append("20260302", "a", ['{"kind":"run"}', '{"kind":"meeting"}'])
    assert (await command.run("export", "20260302"))[1].out == '{"kind":"run"}\n{"kind":"meeting"}\n'
