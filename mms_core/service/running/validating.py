"""Whether a user can be migrated: licence, mailbox, policy and permissions, read and never written (feature 34)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mms_core.errors import CATALOGUE, PermanentError
from mms_core.planning import TEAMS_PROVIDER
from mms_core.service.deciding import audience_of, is_report_only
from mms_core.service.visits import visiting
from mms_core.settings import TEAMS_PLAN
from mms_core.triggers import DIAL_IN_PLANS, ON_PREMISES_ACCOUNT

if TYPE_CHECKING:
    from mms_core.model import UserFacts
    from mms_core.service.parts import Parts

PROBE: Final = (
    "https://teams.microsoft.com/l/meetup-join/19%3ameeting_bW1zLXByb2Jl%40thread.v2/0"
    "?context=%7b%22Tid%22%3a%2200000000-0000-0000-0000-000000000000%22%7d"
)
"""A join URL that leads nowhere: looking for it tells whether the app may look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one check came to."""

    check: str
    result: str
    """``pass``, ``warning`` (migration works, not as well) or ``fail``."""
    code: str | None = None
    detail: str = ""

    def row(self) -> dict[str, Any]:
        """Return it as it is shown, with cause and remedy."""
        entry = CATALOGUE[self.code] if self.code else None
        return {
            "check": self.check,
            "result": self.result,
            "code": self.code,
            "rule": entry.rule if entry else None,
            "cause": entry.cause if entry else None,
            "remedy": entry.remedy if entry else None,
            "detail": self.detail,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """All findings about one user; ``user`` is ``None`` where the directory knows none."""

    user: UserFacts | None
    findings: tuple[Finding, ...]

    @property
    def is_valid(self) -> bool:
        """Whether a migration could begin now."""
        return all(each.result != "fail" for each in self.findings)

    def rows(self) -> list[dict[str, Any]]:
        """Return the findings as they are shown."""
        return [each.row() for each in self.findings]


class Validating:
    """Checks users."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def validate(self, identity: str) -> Validation:
        """Check one user, by object id, user principal name or SIP address.

        Raises:
            TemporaryError: Graph or storage did not answer; the checks are done again.
        """
        try:
            user = await self._parts.graph().directory.user(identity)
        except PermanentError as exc:
            return Validation(user=None, findings=(Finding(check="identity", result="fail", code=exc.code),))
        findings = [
            Finding(check="identity", result="pass"),
            *await self._settings(user),
            *self._licences(user),
            *await self._teams(user),
        ]
        async with visiting(self._parts, user.user_id):
            mailbox, providers = await self._mailbox(user)
            findings += mailbox
            findings.append(await self._online_meetings(user, providers))
        return Validation(user=user, findings=tuple(findings))

    async def _settings(self, user: UserFacts) -> list[Finding]:
        settings = await self._parts.settings()
        is_excluded = await audience_of(self._parts, settings, user) == "excluded"
        return [
            _checked("settings", None if settings.MeetingMigrationEnabled else "MigrationDisabled"),
            _checked("lists", "UserExcluded" if is_excluded else None),
        ]

    @staticmethod
    def _licences(user: UserFacts) -> list[Finding]:
        return [
            _checked("teamsLicence", None if TEAMS_PLAN in user.plans else "TeamsLicenceMissing"),
            _checked("audioConferencing", None if user.plans & DIAL_IN_PLANS else "NoDialIn", result="warning"),
        ]

    async def _teams(self, user: UserFacts) -> list[Finding]:
        teams = await self._parts.graph().directory.configuration(user.user_id)
        if teams is None:
            return [Finding(check="teams", result="warning", detail="Teams has no configuration of this user")]
        mode = teams.mode or teams.inherited_mode or ""
        code = "HomedOnPremises" if teams.account_type == ON_PREMISES_ACCOUNT else None
        return [_checked("teams", code, detail=f"mode {mode}" if mode else "")]

    async def _mailbox(self, user: UserFacts) -> tuple[list[Finding], frozenset[str]]:
        """Look at the calendar, then at the kind of mailbox; the second only where the first can be reached."""
        try:
            providers = await self._parts.graph().calendar.providers(user.user_id)
        except PermanentError as exc:
            return [_checked("mailbox", exc.code, detail=exc.detail)], frozenset()
        findings = [Finding(check="mailbox", result="pass")]
        settings = await self._parts.settings()
        try:
            kind = await self._parts.graph().directory.mailbox_kind(user.user_id)
            is_reported = await is_report_only(self._parts, settings, user.user_id)
        except PermanentError as exc:
            findings.append(_checked("mailboxKind", exc.code, detail=exc.detail, result="warning"))
        else:
            findings.append(_checked("mailboxKind", "ReportOnly" if is_reported else None, detail=kind))
        return findings, providers

    async def _online_meetings(self, user: UserFacts, providers: frozenset[str]) -> Finding:
        """Look for a meeting that does not exist; without the policy, Exchange may still make meetings by flags."""
        try:
            await self._parts.graph().meetings.find(user.user_id, PROBE, language=None)
        except PermanentError as exc:
            has_way_around = exc.code == "AppAccessPolicyMissing" and TEAMS_PROVIDER in providers
            result = "warning" if has_way_around else "fail"
            return _checked("onlineMeetings", exc.code, detail=exc.detail, result=result)
        return Finding(check="onlineMeetings", result="pass")


def _checked(check: str, code: str | None, *, detail: str = "", result: str = "fail") -> Finding:
    return Finding(check=check, result=result if code else "pass", code=code, detail=detail)
