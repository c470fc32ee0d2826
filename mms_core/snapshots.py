"""What the tenant showed of a user when we last looked, and what has really happened since. Pure.

A snapshot keeps, for each aspect, what was *seen* (in the directory or in Teams) and what we were *told* by an event
and have not seen yet. A difference to both is news. So one change causes one trigger, whether an event, an audit
record or a comparison finds it first, and a directory that lags behind an event causes none.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypedDict

import msgspec

from mms_core.errors import RecordUnreadable
from mms_core.notifications import (
    AnyData,
    AudioConferencingChanged,
    LicenseChanged,
    PolicyGranted,
    UserMoved,
    VideoInteropChanged,
)
from mms_core.triggers import DIAL_IN_PLANS, ON_PREMISES_ACCOUNT, TEAMS_MODES, license_change

if TYPE_CHECKING:
    from mms_core.model import TeamsFacts, UserFacts

SAME_CHANGE: Final = timedelta(hours=2)
"""An event that comes at most this long after a comparison found the same change tells nothing new."""

_CLOUD_ACCOUNT: Final = "user"
_TEAMS_ONLY: Final = "teamsonly"
_SAME_MODE: Final = {"upgradetoteams": _TEAMS_ONLY}
"""Teams shows a mode by its own name or by that of the policy's instance."""


VERSION: Final = 2
"""Newest shape of a stored snapshot that this code reads; none of this version says so itself."""


class _Aspects(TypedDict, total=False):
    plans: list[str]
    accountType: str
    mode: str
    inherited: str
    interop: str


class _Shape(msgspec.Struct):
    """What has to hold of a stored snapshot."""

    v: int = VERSION
    dialInPlans: list[str] = []  # noqa: N815 - as it is stored
    seen: _Aspects = {}
    told: _Aspects = {}
    suspected: _Aspects = {}
    derived: dict[str, tuple[Any, datetime]] = {}
    provider: str | None = None
    public_meetings: bool | None = None
    interop_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Everything remembered about a user between two looks. Aspects: plans, accountType, mode, inherited, interop."""

    seen: dict[str, Any] = field(default_factory=dict)
    told: dict[str, Any] = field(default_factory=dict)
    derived: dict[str, list[Any]] = field(default_factory=dict)
    """Value and instant of what a comparison found and no event has confirmed."""
    suspected: dict[str, Any] = field(default_factory=dict)
    """Seen once; counts when it is seen again."""
    provider: str | None = None
    """Of audio conferencing, ``microsoft`` or ``thirdParty``; Graph does not tell it, events do."""
    public_meetings: bool | None = None
    interop_at: str | None = None
    """When the Cloud Video Interop partner changed, ISO 8601."""

    @classmethod
    def read(cls, document: dict[str, Any] | None) -> Snapshot:
        """Read a stored snapshot, also of the first version, which knew plans only.

        Raises:
            RecordUnreadable: It is damaged, or a later version wrote it.
        """
        if document is None:
            return cls()
        try:
            shape = msgspec.convert(document, type=_Shape)
        except msgspec.ValidationError as exc:
            raise RecordUnreadable("damaged") from exc
        if shape.v > VERSION:
            raise RecordUnreadable(f"version {shape.v}")
        if "dialInPlans" in document:
            return cls(seen={"plans": document["dialInPlans"]})
        names = cls.__dataclass_fields__
        return cls(**{name: value for name, value in document.items() if name in names})

    def document(self) -> dict[str, Any]:
        """Return what is stored."""
        return {name: value for name in self.__dataclass_fields__ if (value := getattr(self, name)) not in (None, {})}


def _mode(name: str | None) -> str:
    low = (name or "").lower()
    return _SAME_MODE.get(low, low)


def _shown(user: UserFacts | None, teams: TeamsFacts | None) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if user is not None:
        values["plans"] = sorted(user.plans & DIAL_IN_PLANS)
    if teams is not None:
        values["accountType"] = teams.account_type or ""
        values["mode"] = _mode(teams.mode)
        values["inherited"] = _mode(teams.inherited_mode)
        values["interop"] = teams.video_interop or ""
    return values


def observe(
    snapshot: Snapshot,
    *,
    user: UserFacts | None = None,
    teams: TeamsFacts | None = None,
    subscribed_at: datetime | None = None,
    now: datetime,
) -> tuple[list[AnyData], Snapshot]:
    """Compare what the tenant shows now with what we knew.

    Args:
        snapshot: As stored.
        user: As the directory shows the user; ``None`` if it was not asked.
        teams: As Teams does; ``None`` if it was not asked.
        subscribed_at: Since when the tenant tells us, for a user whom we see for the first time.
        now: Aware UTC.

    Returns:
        What has happened, and the snapshot to be stored once that has been dealt with.
    """
    before = snapshot.seen
    seen, told = dict(before), dict(snapshot.told)
    derived, suspected = dict(snapshot.derived), dict(snapshot.suspected)
    news: dict[str, tuple[Any, Any]] = {}
    for aspect, value in _shown(user, teams).items():
        was_suspected = suspected.pop(aspect, None)
        if aspect in before and value == before[aspect]:
            continue  # also while the directory lags behind what we were told
        if aspect not in before or value == told.get(aspect):
            is_news = False
        elif aspect == "mode" and "accountType" not in news and was_suspected != value:
            # The audit record says whether the grant wants meetings to be migrated (N5), and it may be on its way.
            suspected[aspect] = value
            continue
        else:
            is_news = True
        seen[aspect] = value
        told.pop(aspect, None)
        if is_news:
            news[aspect] = (before[aspect], value)
            derived[aspect] = [value, now.isoformat()]
    events = _events(news, user=user, teams=teams)
    if user is not None and "plans" not in before and "plans" not in snapshot.told:
        change = license_change(user, None, subscribed_at=subscribed_at)
        events += [change] if change.added or change.removed else []
    after = replace(snapshot, seen=seen, told=told, derived=derived, suspected=suspected)
    if "interop" in news:
        after = replace(after, interop_at=now.isoformat())
    return events, after


def _events(news: dict[str, tuple[Any, Any]], *, user: UserFacts | None, teams: TeamsFacts | None) -> list[AnyData]:
    events: list[AnyData] = []
    if "plans" in news and user is not None:
        old, new = map(set, news["plans"])
        events.append(LicenseChanged(user=user.user_id, added=sorted(new - old), removed=sorted(old - new)))
    if teams is None:
        return events
    if "accountType" in news:
        old, new = news["accountType"]
        if old == ON_PREMISES_ACCOUNT and new == _CLOUD_ACCOUNT:
            is_teams = _mode(teams.mode) in TEAMS_MODES
            events.append(UserMoved(user=teams.user_id, direction="toCloud", move_to_teams=is_teams))
        elif new == ON_PREMISES_ACCOUNT:
            events.append(UserMoved(user=teams.user_id, direction="toOnPremises"))
    elif news.get("mode", ("", ""))[1]:
        events.append(PolicyGranted(user=teams.user_id, policy="TeamsUpgradePolicy", mode=news["mode"][1]))
    if "interop" in news:
        events.append(VideoInteropChanged(user=teams.user_id, policy=news["interop"][1] or None))
    return events


def tell(snapshot: Snapshot, happened: AnyData, *, now: datetime) -> tuple[bool, Snapshot]:
    """Take in what an event or an audit record says.

    Returns:
        Whether a comparison has found the same change already and acted on it, and the snapshot to be stored.
    """
    if isinstance(happened, AudioConferencingChanged):
        return False, _with_audio(snapshot, happened)
    if isinstance(happened, VideoInteropChanged):
        aspect, value = "interop", happened.policy or ""
    elif isinstance(happened, UserMoved):
        aspect, value = "accountType", _CLOUD_ACCOUNT if happened.direction == "toCloud" else ON_PREMISES_ACCOUNT
    elif isinstance(happened, PolicyGranted) and happened.policy.lower() == "teamsupgradepolicy":
        aspect, value = "mode", _mode(happened.mode)
    elif isinstance(happened, LicenseChanged):
        return False, _with_plans(snapshot, happened)
    else:
        return False, snapshot
    told, derived, suspected = dict(snapshot.told), dict(snapshot.derived), dict(snapshot.suspected)
    found = derived.pop(aspect, None)
    suspected.pop(aspect, None)
    is_known = found is not None and found[0] == value and now - datetime.fromisoformat(found[1]) <= SAME_CHANGE
    if snapshot.seen.get(aspect) == value:
        told.pop(aspect, None)
    else:
        told[aspect] = value
    if isinstance(happened, UserMoved) and happened.direction == "toCloud" and happened.move_to_teams:
        # Such a move grants the mode as well, and is no grant of its own.
        suspected.pop("mode", None)
        if snapshot.seen.get("mode") != _TEAMS_ONLY:
            told["mode"] = _TEAMS_ONLY
    after = replace(snapshot, told=told, derived=derived, suspected=suspected)
    return is_known, replace(after, interop_at=now.isoformat()) if aspect == "interop" and not is_known else after


def _with_audio(snapshot: Snapshot, happened: AudioConferencingChanged) -> Snapshot:
    if happened.public_meetings is not None:
        snapshot = replace(snapshot, public_meetings=happened.public_meetings)
    if happened.change != "provider":
        return snapshot
    is_ours = (happened.to or "").lower() == "microsoft"
    return replace(snapshot, provider="microsoft" if is_ours else "thirdParty")


def _with_plans(snapshot: Snapshot, happened: LicenseChanged) -> Snapshot:
    if "plans" not in snapshot.seen:
        return snapshot  # the first look judges by dates
    old = set(snapshot.told.get("plans", snapshot.seen["plans"]))
    added = {plan.lower() for plan in happened.added} & DIAL_IN_PLANS
    removed = {plan.lower() for plan in happened.removed} & DIAL_IN_PLANS
    expected = sorted((old | added) - removed)
    told = {name: value for name, value in snapshot.told.items() if name != "plans"}
    if expected != snapshot.seen["plans"]:
        told["plans"] = expected
    return replace(snapshot, told=told)
