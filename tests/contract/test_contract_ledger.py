"""Ledger: a row a meeting, and the original that undo needs."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

import pytest
from contract_support import START, an_entry, an_original, guid, key_of

from mms_core.errors import PermanentError
from mms_core.meetings import Coordinates, body_hash
from mms_core.model import RunId, Verdict

USER = key_of(1)
LATER = START + timedelta(hours=1)


async def _kept(storage, user=USER):
    return {original.key: original for original in await storage.ledger.originals(user)}


async def test_a_user_without_meetings_has_an_empty_ledger(storage):
    """Nothing is written by reading."""
    assert await storage.ledger.entries(USER) == []
    assert await storage.ledger.originals(USER) == []


async def test_every_field_of_an_entry_survives(storage):
    """Subjects in any script, coordinates, instants."""
    entry = an_entry(
        subject='你好 👋 "weekly" \\ sync\r\n\u2028%/#?',
        verdict=Verdict.FAILED,
        rule="W6",
        code="TooManyAttendees",
        detail="251 people",
        before=Coordinates(kind="skype", join_url="https://meet.example/a/B", numbers=("+49 30 1", "112")),
        after=Coordinates(kind="teams", conference_id="123456789"),
        start_at=None,
        request_id=guid(9),
        attempts=3,
        is_final=True,
        step="migrate",
        written_hash="abc",
        duration_ms=1200,
    )
    await storage.ledger.put(USER, entry)
    assert await storage.ledger.entries(USER) == [entry]


async def test_a_meeting_has_one_entry_the_newest(storage):
    """Whichever run wrote it; other meetings and users have their own."""
    await storage.ledger.put(USER, an_entry("m1", verdict=Verdict.WRITING))
    await storage.ledger.put(USER, an_entry("m2"))
    await storage.ledger.put(key_of(2), an_entry("m1", subject="somebody else's"))
    await storage.ledger.put(USER, an_entry("m1", run_id=RunId(guid(2)), verdict=Verdict.CURRENT))
    entries = sorted(await storage.ledger.entries(USER), key=lambda entry: entry.key)
    assert [(entry.key, entry.run_id, entry.verdict) for entry in entries] == [
        ("m1", guid(2), Verdict.CURRENT),
        ("m2", guid(1), Verdict.MIGRATED),
    ]


async def test_an_original_is_kept_with_its_entry(storage):
    """Entry and original are written together and come back unchanged."""
    original = an_original(
        body="<html>\r\n<p>Grüße&nbsp;\u00a0</p>",
        locations_json='[{"displayName":"Skype 会議"}]',
        properties={"OnlineMeetingConfLink": "conf:sip:a@b;gruu", "UCCapabilities": "<x/>"},
    )
    await storage.ledger.put(USER, an_entry(), original)
    assert await storage.ledger.originals(USER) == [original]
    assert await storage.ledger.entries(USER) == [an_entry()]
    assert await storage.ledger.originals(key_of(2)) == []


@pytest.mark.parametrize(
    "body",
    [
        "",
        "a lone \ud83d surrogate and \udc4b another",
        "\\u0041 \\n \\\\ stay what they are",
        "nul \x00, bell \x07, NEL \x85, BOM \ufeff, noncharacter \uffff",
        "CRLF\r\n LF\n CR\r tab\t",
        "👩‍💻 שלום 你好 ï ¿ ½",
        "&nbsp;&#x1F44B; <p class=MsoNormal>",
    ],
)
async def test_a_body_comes_back_character_for_character(storage, body):
    """Undo restores byte for byte, whatever Exchange delivered."""
    await storage.ledger.put(USER, an_entry(), an_original(body=body))
    assert [original.body for original in await storage.ledger.originals(USER)] == [body]


async def test_a_body_of_a_mebibyte_is_kept(storage):
    """Outlook's style sheets and quoted mails compress well."""
    body = "".join(f"<p class=MsoNormal style='margin:{number}px'>Zeile é</p>\r\n" for number in range(22_000))
    assert len(body) > 2**20
    await storage.ledger.put(USER, an_entry(), an_original(body=body))
    assert (await _kept(storage))["m1"].body == body


async def test_several_large_originals_are_listed_together(storage):
    """A page of rows may be cut short by its size: the rest follows."""
    dice = random.Random(7)
    bodies = {f"m{number}": dice.randbytes(150_000).hex() for number in range(8)}
    for key, body in bodies.items():
        await storage.ledger.put(USER, an_entry(key), an_original(key, body=body))
    assert {key: original.body for key, original in (await _kept(storage)).items()} == bodies


# -- which original stays (Original.succeeding) ----------------------------------------------------------------------


async def test_the_second_write_in_a_row_keeps_the_first_original(storage):
    """Undo leads back to before our first write: the body we found is the one we left."""
    first = an_original(body="<p>Skype</p>", written_hash=body_hash("<p>Teams</p>"))
    second = an_original(body="<p>Teams</p>", written_hash=body_hash("<p>Teams 2</p>"), kept_at=LATER)
    await storage.ledger.put(USER, an_entry(), first)
    await storage.ledger.put(USER, an_entry(), second)
    (kept,) = await storage.ledger.originals(USER)
    assert kept == replace(
        first, written_hash=second.written_hash, also_ours=(first.written_hash,), kept_at=second.kept_at
    )
    assert [kept.is_ours(body) for body in ("<p>Teams</p>", "<p>Teams 2</p>", "<p>Skype</p>")] == [True, True, False]


async def test_a_repeated_intent_keeps_the_first_original(storage):
    """A write that was announced twice and carried out never: same body, the newer hash."""
    first = an_original(written_hash="one")
    await storage.ledger.put(USER, an_entry(), first)
    await storage.ledger.put(USER, an_entry(), replace(first, written_hash="two", kept_at=LATER))
    kept = replace(first, written_hash="two", also_ours=("one",), kept_at=LATER)
    assert await storage.ledger.originals(USER) == [kept]


async def test_a_second_write_that_never_arrives_keeps_the_first_original(storage):
    """The event is still as the first write left it, whatever was announced since, and however often."""
    first = an_original(body="<p>Skype</p>", written_hash=body_hash("<p>Teams</p>"))
    await storage.ledger.put(USER, an_entry(), first)
    for number in range(30):
        again = an_original(body="<p>Teams</p>", written_hash=body_hash(f"<p>Teams {number % 2}</p>"), kept_at=LATER)
        await storage.ledger.put(USER, an_entry(), again)
    (kept,) = await storage.ledger.originals(USER)
    assert (kept.body, len(kept.also_ours)) == ("<p>Skype</p>", 2)
    assert kept.is_ours("<p>Teams</p>")


async def test_an_edit_between_two_writes_becomes_the_original(storage):
    """The organizer's edit must not be lost to an undo."""
    await storage.ledger.put(USER, an_entry(), an_original(body="<p>old</p>", written_hash=body_hash("ours")))
    edited = an_original(body="<p>edited by the organizer</p>", written_hash="new", kept_at=LATER)
    await storage.ledger.put(USER, an_entry(), edited)
    assert await storage.ledger.originals(USER) == [edited]


async def test_after_an_undo_the_next_original_counts(storage):
    """What has been undone is history."""
    first = an_original()
    await storage.ledger.put(USER, an_entry(), first)
    await storage.ledger.put_original(USER, replace(first, undone_at=LATER))
    assert await storage.ledger.originals(USER) == []
    second = replace(first, written_hash="later", kept_at=LATER)
    await storage.ledger.put(USER, an_entry(), second)
    assert await storage.ledger.originals(USER) == [second]


async def test_a_later_current_does_not_touch_the_original(storage):
    """A run that finds nothing to do writes an entry only."""
    await storage.ledger.put(USER, an_entry(), an_original())
    await storage.ledger.put(USER, an_entry(run_id=RunId(guid(2)), verdict=Verdict.CURRENT))
    assert await storage.ledger.originals(USER) == [an_original()]


async def test_settle_notes_what_really_stands_in_the_calendar(storage):
    """Exchange may have written the body its own way; undo compares with that."""
    await storage.ledger.put(USER, an_entry(verdict=Verdict.WRITING), an_original(written_hash="intended"))
    await storage.ledger.settle(USER, an_entry(written_hash="actual"))
    assert await storage.ledger.originals(USER) == [an_original(written_hash="actual")]
    assert await storage.ledger.entries(USER) == [an_entry(written_hash="actual")]


async def test_settle_without_an_original_writes_the_entry(storage):
    """There is nothing to correct."""
    await storage.ledger.settle(USER, an_entry())
    assert await storage.ledger.entries(USER) == [an_entry()]
    assert await storage.ledger.originals(USER) == []


async def test_an_original_that_cannot_be_kept_stops_the_write(storage):
    """Without a way back there is no way forth: permanent, and not even the entry is written."""
    body = random.Random(1).randbytes(1_200_000).hex()
    with pytest.raises(PermanentError) as caught:
        await storage.ledger.put(USER, an_entry(), an_original(body=body))
    assert caught.value.code == "OriginalTooLarge"
    assert await storage.ledger.entries(USER) == []
    assert await storage.ledger.originals(USER) == []


async def test_one_meeting_is_read_without_the_others(storage):
    """Its entry and what is kept of it, undone or not; nothing for what is not there."""
    await storage.ledger.put(USER, an_entry("m1"), an_original("m1", written_block="<p>Join</p>"))
    await storage.ledger.put(USER, an_entry("m2"))
    assert await storage.ledger.entry(USER, "m1") == an_entry("m1")
    assert (await storage.ledger.original(USER, "m1")).written_block == "<p>Join</p>"
    await storage.ledger.put_original(USER, an_original("m1", undone_at=LATER))
    assert (await storage.ledger.original(USER, "m1")).undone_at == LATER
    assert await storage.ledger.original(USER, "m2") is None
    assert await storage.ledger.entry(USER, "m3") is None


async def test_the_newest_written_block_is_kept_with_the_first_original(storage):
    """By the next write of a chain, and by what really stands there."""
    await storage.ledger.put(USER, an_entry(), an_original(written_block="one"))
    await storage.ledger.put(USER, an_entry(), an_original(written_hash="two", written_block="two"))
    assert (await storage.ledger.original(USER, "m1")).written_block == "two"
    await storage.ledger.settle(USER, an_entry(), written_block="as Exchange writes it")
    assert (await storage.ledger.original(USER, "m1")).written_block == "as Exchange writes it"


async def test_what_is_only_shown_gives_way_to_what_undo_needs(storage):
    """An original that just fits is kept without the written block."""
    body = random.Random(1).randbytes(420_000).hex()
    block = random.Random(2).randbytes(600_000).hex()
    await storage.ledger.put(USER, an_entry(), an_original(body=body, written_block=block))
    assert (await storage.ledger.original(USER, "m1")).body == body
