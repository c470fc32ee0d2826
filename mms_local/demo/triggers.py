"""What happens to Contoso during the demo: everything an administrator could do in one bad morning."""

import asyncio
from dataclasses import dataclass

from mms_local.demo.cast import AUDIO_CONFERENCING_PLAN, NEW_BRIDGE, NEW_TOLL_NUMBER, Person, Story
from mms_local.demo.tenant import Client

_UPGRADE_POLICY = "TeamsUpgradePolicy"


@dataclass(frozen=True, slots=True)
class Fired:
    """One line of what was set off."""

    users: int
    what: str
    how: str
    """The way on which the service hears of it."""
    rule: str
    is_ignored: bool = False


_WAYS: tuple[tuple[Story, str, str], ...] = (
    (Story.MOVED, "CloudEvent", "T1"),
    (Story.MOVED_LICENSED_GRANTED, "all three", "Q2"),
    (Story.GRANTED, "activity feed", "T9"),
    (Story.LICENSED, "Graph notification", "T3"),
    (Story.UNLICENSED, "Graph notification", "T3"),
    (Story.LICENSED_OTHER_PROVIDER, "Graph notification", "W4"),
    (Story.REBRIDGED, "CloudEvent", "T7"),
    (Story.ASKED, "POST /api/migrations", "T10"),
    (Story.ASKED_MAILBOX_ON_PREMISES, "POST /api/migrations", "W2"),
    (Story.GRANTED_OTHER_MODE, "activity feed", "N4"),
    (Story.GRANTED_WITHOUT_MIGRATION, "activity feed", "N5"),
    (Story.GRANTED_ON_PREMISES, "activity feed", "N6"),
    (Story.PROFILE_EDITED, "Graph, CloudEvent", "N1"),
)


async def fire(client: Client, people: tuple[Person, ...]) -> list[Fired]:
    """Set everything off at once, as far as one user's things need no order."""
    async with asyncio.TaskGroup() as group:
        for person in people:
            group.create_task(_befall(client, person))
        group.create_task(_grant_to_everybody(client))
        group.create_task(_ask(client, people))
    fired = [
        Fired(
            users=sum(person.story is story for person in people),
            what=story.value,
            how=how,
            rule=rule,
            is_ignored=not story.leads_to_a_run,
        )
        for story, how, rule in _WAYS
    ]
    return [*fired, Fired(len(people), "TeamsOnly for the whole tenant", "activity feed", "N3", is_ignored=True)]


async def _befall(client: Client, person: Person) -> None:
    user = person.address
    story = person.story
    if story in {Story.MOVED, Story.MOVED_LICENSED_GRANTED}:
        await client.act("moveUser", user=user, direction="toCloud", moveToTeams=True)
    if story in {Story.LICENSED, Story.MOVED_LICENSED_GRANTED, Story.LICENSED_OTHER_PROVIDER}:
        await client.act("assignLicense", user=user, plans=[AUDIO_CONFERENCING_PLAN])
    if story in {Story.GRANTED, Story.MOVED_LICENSED_GRANTED, Story.GRANTED_ON_PREMISES}:
        await client.act("grantPolicy", user=user, policy=_UPGRADE_POLICY, mode="TeamsOnly")
    if story is Story.UNLICENSED:
        await client.act("removeLicense", user=user, plans=[AUDIO_CONFERENCING_PLAN])
    if story is Story.REBRIDGED:
        await client.act("setAudioConferencing", user=user, bridge=NEW_BRIDGE, tollNumber=NEW_TOLL_NUMBER)
    if story is Story.GRANTED_OTHER_MODE:
        await client.act("grantPolicy", user=user, policy=_UPGRADE_POLICY, mode="SfBWithTeamsCollab")
    if story is Story.GRANTED_WITHOUT_MIGRATION:
        details = {"policy": _UPGRADE_POLICY, "mode": "TeamsOnly", "migrateMeetingsToTeams": False}
        await client.act("grantPolicy", user=user, **details)
    if story is Story.PROFILE_EDITED:
        await client.act("editProfile", user=user)
        await client.act("changeSipAddress", user=user, sip=f"sip:m.{user}")


async def _grant_to_everybody(client: Client) -> None:
    await client.act("grantPolicy", tenant=True, policy=_UPGRADE_POLICY, mode="TeamsOnly")


async def _ask(client: Client, people: tuple[Person, ...]) -> None:
    asked = [p.address for p in people if p.story in {Story.ASKED, Story.ASKED_MAILBOX_ON_PREMISES}]
    request = {"identities": asked, "sourceMeetingType": "SfB", "targetMeetingType": "Teams"}
    await client.request_migrations(request)
