"""The whole seed in a simulated tenant, migrated by the book: the verdict must agree, and must not if a line is wrong."""

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote_plus

import aiohttp
import pytest

from mms_local.demo.cast import Story
from mms_local.demo.meetings import Fate
from mms_local.demo.plan import plan_tenant
from mms_local.demo.seeding import Photograph, Seeded, photograph, seed, watch
from mms_local.demo.tenant import Client, Endpoints
from mms_local.demo.triggers import fire
from mms_local.demo.verdict import Check, Mail, Verdict, Watched, judge

TEAMS_PLACE = "Microsoft Teams Meeting"


@dataclass(frozen=True)
class Played:
    """A tenant before and after, by the book."""

    watched: list[Watched]
    before: Photograph
    after: Photograph
    outbox: list[Mail]
    traffic: Path
    exchanges: int
    """How many of them it is said to hold."""


class BookKeeper(Client):
    """Migrates as the rules say, with the demo's knowledge of blocks, because it has no service to ask."""

    async def request_migrations(self, request):
        """Nobody is asked: this is the tenant alone."""
        return [{"identity": identity, "status": "accepted"} for identity in request["identities"]]

    async def migrate(self, seeded: Seeded, watched: list[Watched]) -> None:
        """One change for each item that must have one."""
        for meeting, seen in zip(seeded.meetings, watched, strict=True):
            if seen.fate.is_changed:
                user = meeting.organizer.address
                online = await self._online_meeting(seeded.user_ids[user], seen)
                changes = self._block(seen.before.body, seen.block, online)
                places = [TEAMS_PLACE if place == seen.skype_place else place for place in seen.before.places]
                changes["locations"] = [{"displayName": place} for place in places]
                await self.change_event(user, seen.before.event_id, changes)
                for exception in seen.before.exceptions:
                    own = self._block(exception.body, seen.block, online)
                    await self.change_event(user, exception.event_id, own)

    def _block(self, body: str, old: str, online: dict) -> dict:
        new = unquote_plus(online["joinInformation"]["content"].removeprefix("data:text/html,"))
        return {"body": {"contentType": "html", "content": body.replace(old, new)}}

    async def _online_meeting(self, user_id: str, seen: Watched) -> dict:
        path = f"/users/{user_id}/onlineMeetings"
        if seen.fate is Fate.REFRESHED:
            query = {"$filter": f"JoinWebUrl eq '{seen.before.join_url}'"}
            return (await self._graph("GET", path, params=query))["value"][0]
        wanted = {"externalId": seen.before.event_id, "subject": seen.name}
        return await self._graph("POST", f"{path}/createOrGet", json=wanted)


@contextlib.contextmanager
def simulator(directory):
    """A tenant on a free port, in a process of its own."""
    ready = directory / "ready.json"
    command = [sys.executable, "-m", "mms_simulator", "--port", "0", "--in-memory", "--ready-file", str(ready)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            while not ready.exists():
                assert process.poll() is None
                time.sleep(0.05)
            found = json.loads(ready.read_text())
            yield Endpoints.of({"api": ""} | found)
        finally:
            process.terminate()


async def play(endpoints: Endpoints, traffic: Path) -> Played:
    """Seed, fire, migrate, and look."""
    async with aiohttp.ClientSession() as session:
        keeper = BookKeeper(session, endpoints)
        seeded = Seeded(*plan_tenant(datetime.now(UTC).date()))
        await seed(keeper, seeded, advance=lambda: None)
        before = await photograph(keeper, seeded)
        watched = watch(seeded, before)
        await fire(keeper, seeded.people)
        await keeper.migrate(seeded, watched)
        after = await photograph(keeper, seeded)
        exchanges = await keeper.save_traffic(traffic)
        return Played(watched, before, after, await keeper.outbox(), traffic, exchanges)


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """One showing for all tests of this module."""
    directory = tmp_path_factory.mktemp("tenant")
    with simulator(directory) as endpoints:
        return asyncio.run(play(endpoints, directory / "recorded" / "traffic.jsonl"))


def verdict_of(played: Played) -> Verdict:
    """What the demo would say."""
    copies = (played.before.copies, played.after.copies)
    return judge(played.watched, played.after.items, played.outbox, copies=copies)


def test_a_migration_by_the_book_is_clean(played):
    """Including Graph's own mails for changed occurrences: the demo's count of them is the tenant's."""
    verdict = verdict_of(played)

    assert verdict.findings == []
    assert (verdict.migrated, verdict.refreshed) == (245, 101)
    assert verdict.updates == verdict.expected_updates
    assert verdict.untouched == 254
    assert verdict.copies > 300


def test_every_occurrence_was_changed_as_planned(played):
    """Two exceptions and a cancelled occurrence in each running series."""
    series = [seen for seen in played.watched if seen.changed_occurrences]

    assert len(series) == 40 - len([Story.ASKED_MAILBOX_ON_PREMISES])
    assert all(len(seen.before.exceptions) == 2 for seen in series)
    assert all(json.loads(seen.before.facts["cancelledOccurrences"]) for seen in series)


def test_every_exchange_with_graph_is_recorded(played):
    """Seeding, looking and migrating: what a judge of the simulator needs to see."""
    lines = [json.loads(line) for line in played.traffic.read_bytes().splitlines()]

    assert len(lines) == played.exchanges
    changed = [line for line in lines if line["method"] == "PATCH" and "body" in (line["requestBody"] or {})]
    assert len(changed) >= 245 + 101
    assert all(line["responseBody"]["body"]["content"] for line in changed)


def test_one_lost_character_among_six_hundred_meetings_is_found(played):
    """In a real body, not in one made up for the test."""
    event_id, item = next(
        (seen.before.event_id, played.after.items[seen.before.event_id])
        for seen in played.watched
        if seen.fate is Fate.MIGRATED and "🚀" in seen.before.body
    )
    damaged = played.after.items | {event_id: replace(item, body=item.body.replace("🚀", "?"))}

    verdict = verdict_of(replace(played, after=replace(played.after, items=damaged)))

    assert verdict.characters_changed == 1
    assert [finding.check for finding in verdict.findings] == [Check.CHARACTERS]


def test_one_second_mail_is_found(played):
    """Whichever of the updates is sent twice."""
    verdict = verdict_of(replace(played, outbox=[*played.outbox, played.outbox[-1]]))

    assert verdict.duplicates == 1


def test_a_service_that_did_nothing_is_found(played):
    """The verdict does not take silence for success."""
    verdict = verdict_of(replace(played, after=played.before, outbox=[]))

    assert (verdict.migrated, verdict.refreshed, verdict.updates) == (0, 0, 0)
    assert {finding.check for finding in verdict.findings} == {Check.MIGRATED, Check.REFRESHED, Check.UPDATES}
