"""What earlier migrations by others left behind: reported, and repaired by a write only where the original is certain."""

from __future__ import annotations

from functional_support import KEY
from meeting_values import DOTS, USER, page, skype_block, skype_event, skype_url, teams_event

from mms_core.model import Source, State, Target, UserKey
from mms_core.service import Previews
from mms_core.service.running.previews import Asked

SHELL = f"<p class=MsoNormal><span>{DOTS}</span></p>\n<p><a name=x></a>&nbsp;</p>\n<p class=MsoNormal><span>{DOTS}</span></p>"
LOST = "<p>Gr\u00ef\u00bf\u00bd\u00ef\u00bf\u00bde</p>"


async def test_an_empty_shell_beside_the_block_goes_with_it_and_comes_back_with_undo(world):
    """It was certain: the write takes it out, and the original is kept as it was."""
    block = skype_block(skype_url("AB12CD01"))
    (event,) = world.tenant.add(skype_event(1, body=page(f"{SHELL}<p>between</p>{block}")))
    await world.ask()
    await world.until_quiet()
    now = world.tenant.events[event.event_id]
    assert DOTS not in now.body
    assert "<p>between</p>" in now.body
    assert "Grüße, 你好 👋&nbsp;— the agenda:" in now.body
    entry = await world.entry(event)
    assert entry.verdict == "migrated"
    assert [(each.code, each.is_certain, each.is_repaired) for each in entry.damage] == [("EmptyShell", True, True)]
    assert world.tenant.mails_of(event.event_id) == 1
    await world.queries.undo(USER, (), actor=None)
    await world.until_quiet()
    assert world.tenant.events[event.event_id].body == event.body


async def test_lost_characters_are_reported_and_left(world):
    """What they were nobody knows."""
    (event,) = world.tenant.add(skype_event(1, body=page(skype_block(skype_url("AB12CD01")), above=LOST)))
    await world.ask()
    await world.until_quiet()
    assert LOST in world.tenant.events[event.event_id].body
    entry = await world.entry(event)
    assert (entry.verdict, [(each.code, each.is_repaired) for each in entry.damage]) == (
        "migrated",
        [("Mojibake", False)],
    )


async def test_a_shell_that_is_all_that_is_left_of_a_meeting_is_listed(world):
    """Nothing is written, and nothing is passed over in silence."""
    (event,) = world.tenant.add(teams_event(1, body=page(SHELL)))
    await world.ask(source=Source.TEAMS)
    await world.until_quiet()
    entry = await world.entry(event)
    assert (entry.verdict, entry.code, [each.code for each in entry.damage]) == (
        "skipped",
        "EmptyShell",
        ["EmptyShell"],
    )
    assert (await world.state(), world.tenant.mails) == (State.SUCCEEDED, [])


async def test_a_sound_invitation_reports_nothing(world):
    """Whatever the letters in it."""
    world.skype_meetings(1)
    await world.ask()
    await world.until_quiet()
    (entry,) = await world.ledger.entries(KEY)
    assert entry.damage == ()


async def test_a_preview_shows_the_damage_with_its_remedy(world):
    """Before anything is written; the old block is the block, not the shell."""
    block = skype_block(skype_url("AB12CD01"))
    world.tenant.add(skype_event(1, body=page(f"{SHELL}<p>between</p>{block}", above=LOST)))
    previews = Previews(world.parts)
    made = await previews.ask(Asked(key=UserKey(USER), identity=USER, source=Source.ALL, target=Target.TEAMS))
    await world.until_quiet()
    (row,) = (await previews.read(made))["meetings"]
    assert [(each["code"], each["isCertain"], each["isRepaired"]) for each in row["damage"]] == [
        ("Mojibake", False, False),
        ("EmptyShell", True, False),
    ]
    assert all(each["cause"] and each["remedy"] for each in row["damage"])
    assert row["oldBlock"].startswith("<p class=MsoNormal><span style='font-size:8.0pt")
    assert "OutJoinLink" in row["oldBlock"]
