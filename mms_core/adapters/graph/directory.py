"""Users, their licences, groups and mailboxes, and what Teams says about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from kiota_abstractions.base_request_configuration import RequestConfiguration
from kiota_abstractions.method import Method
from msgraph.generated.users.item.calendar.calendar_request_builder import CalendarRequestBuilder
from msgraph.generated.users.item.user_item_request_builder import UserItemRequestBuilder
from msgraph.generated.users.users_request_builder import UsersRequestBuilder

from mms_core import jsontext
from mms_core.adapters.graph.wire import (
    WireConfiguration,
    WireConfigurations,
    WireGroups,
    WireMailboxSettings,
    WireRound,
    WireUser,
    WireUsers,
)
from mms_core.errors import NotFound, PermanentError, TemporaryError
from mms_core.model import TeamsFacts, UserFacts
from mms_core.ports import Directory, Page, Round

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mms_core.adapters.graph.transport import Answer, GraphTransport

USERS_PAGE: Final = 500
"""Graph gives 999 at most. Half of that is compared with its snapshots in a few seconds, and then checkpointed."""
_CONFIGURATIONS: Final = "odata.maxpagesize=500"
"""Not ``$top``: the documentation does not say whether that is a page's size, as in Graph's other lists, or all that is
wanted, as in OData; then a sweep would never see the rest. A preference can only be heeded or not."""
_MOST_GROUPS: Final = 20
"""Groups that one checkMemberGroups takes."""
_SELECT: Final = ["id", "userPrincipalName", "assignedPlans", "preferredLanguage", "mail", "createdDateTime"]
_IN_FORCE: Final = ("Enabled", "Warning")
_UPGRADE, _INTEROP = "teamsupgradepolicy", "teamsvideointeropservicepolicy"


class GraphDirectory(Directory):
    """Directory over Graph."""

    def __init__(self, transport: GraphTransport) -> None:
        self._transport = transport

    async def user(self, identity: str) -> UserFacts:
        """See :class:`~mms_core.ports.Directory`."""
        name = identity.removeprefix("sip:").removeprefix("SIP:")
        try:
            return await self._read(name)
        except NotFound as exc:
            # A SIP address mostly equals the user principal name; where it does not, imAddresses has it.
            found = await self._by_sip(name) if name != identity else None
            if found is None:
                raise PermanentError(exc.detail, code="UserNotFound") from exc
            return found

    async def users(self, link: str | None = None) -> Page[UserFacts]:
        """See :class:`~mms_core.ports.Directory`."""
        configuration = RequestConfiguration(
            query_parameters=UsersRequestBuilder.UsersRequestBuilderGetQueryParameters(select=_SELECT, top=USERS_PAGE)
        )
        first = self._transport.client.users.to_get_request_information(configuration)
        page = (await (self._following(link) if link else self._transport.read(first))).decoded(WireUsers)
        return Page(items=tuple(map(_facts, page.value)), next_link=page.next_link)

    async def _following(self, link: str, prefer: str = "") -> Answer:
        """Read a following page, with the preference that its list was asked with.

        Raises:
            NotFound: The directory has forgotten where it was. It says so with a 400 (``Directory_ExpiredPageToken``),
                and what else could be wrong with a link of its own?
        """
        info = self._transport.page(link)
        if prefer:
            info.headers.add("Prefer", prefer)
        try:
            return await self._transport.read(info)
        except PermanentError as exc:
            if exc.code == "MeetingRejected":
                raise NotFound(exc.detail) from exc
            raise

    async def changed(self, link: str | None = None) -> Round:
        """See :class:`~mms_core.ports.Directory`."""
        if link:
            info = self._transport.page(link)
        else:
            info = self._transport.client.users.delta.to_get_request_information()
            # The SDK's builder does not know the token that skips the round of all there is.
            info.url_template = "{+baseurl}/users/delta{?%24select,%24deltatoken}"
            info.query_parameters |= {"%24select": _SELECT, "%24deltatoken": "latest"}
        page = (await self._transport.read(info)).decoded(WireRound)
        # A row has what has changed, and of the rest what Graph likes.
        shown = tuple(_facts(user) for user in page.value if user.assigned_plans is not None)
        gone = tuple(user.id.lower() for user in page.value if user.removed is not None)
        return Round(users=shown, gone=gone, next_link=page.next_link, delta_link=page.delta_link)

    async def configuration(self, user_id: str) -> TeamsFacts | None:
        """See :class:`~mms_core.ports.Directory`."""
        builder = self._transport.client.admin.teams.user_configurations.by_teams_user_configuration_id(user_id)
        try:
            answer = await self._transport.read(builder.to_get_request_information())
        except NotFound:
            return None
        return _teams(_one(answer), user_id)

    async def configurations(self, link: str | None = None) -> Page[TeamsFacts]:
        """See :class:`~mms_core.ports.Directory`."""
        first = self._transport.client.admin.teams.user_configurations.to_get_request_information()
        first.headers.add("Prefer", _CONFIGURATIONS)
        answer = await (self._following(link, _CONFIGURATIONS) if link else self._transport.read(first))
        page = answer.decoded(WireConfigurations)
        rows = page.value if isinstance(page.value, list) else [page.value]
        return Page(items=tuple(_teams(row, row.id) for row in rows if row.id), next_link=page.next_link)

    async def account_type(self, user_id: str) -> str | None:
        """See :class:`~mms_core.ports.Directory`."""
        found = await self.configuration(user_id)
        return found.account_type if found else None

    async def member_of(self, user_id: str, groups: Sequence[str]) -> frozenset[str]:
        """See :class:`~mms_core.ports.Directory`."""
        builder = self._transport.client.users.by_user_id(user_id).check_member_groups
        found: set[str] = set()
        for start in range(0, len(groups), _MOST_GROUPS):
            body = {"groupIds": list(groups[start : start + _MOST_GROUPS])}
            answer = await self._transport.read(self._transport.request(builder, Method.POST, body))
            found |= {each.lower() for each in answer.decoded(WireGroups).value}
        return frozenset(found)

    async def mailbox(self, user_id: str) -> str:
        """See :class:`~mms_core.ports.Directory`."""
        configuration = RequestConfiguration(
            query_parameters=CalendarRequestBuilder.CalendarRequestBuilderGetQueryParameters(select=["id"])
        )
        builder = self._transport.client.users.by_user_id(user_id).calendar
        try:
            await self._transport.read(builder.to_get_request_information(configuration))
        except PermanentError as exc:
            return "onPremises" if exc.code == "MailboxOnPremises" else "unknown"
        except NotFound:
            return "unknown"
        return "online"

    async def mailbox_kind(self, user_id: str) -> str:
        """See :class:`~mms_core.ports.Directory`."""
        builder = self._transport.client.users.by_user_id(user_id).mailbox_settings
        try:
            answer = await self._transport.read(builder.to_get_request_information())
        except PermanentError as exc:
            if exc.code == "MailboxAccessDenied":
                raise PermanentError(exc.detail, code="MailboxSettingsDenied") from exc
            raise
        except NotFound as exc:
            raise PermanentError(exc.detail, code="MailboxMissing") from exc
        return (answer.decoded(WireMailboxSettings).user_purpose or "unknown").lower()

    async def _read(self, name: str) -> UserFacts:
        configuration = RequestConfiguration(
            query_parameters=UserItemRequestBuilder.UserItemRequestBuilderGetQueryParameters(select=_SELECT)
        )
        builder = self._transport.client.users.by_user_id(name)
        answer = await self._transport.read(builder.to_get_request_information(configuration))
        return _facts(answer.decoded(WireUser))

    async def _by_sip(self, address: str) -> UserFacts | None:
        quoted = address.replace("'", "''")
        configuration = RequestConfiguration(
            query_parameters=UsersRequestBuilder.UsersRequestBuilderGetQueryParameters(
                filter=f"imAddresses/any(each:each eq '{quoted}')", select=_SELECT
            )
        )
        answer = await self._transport.read(self._transport.client.users.to_get_request_information(configuration))
        users = answer.decoded(WireUsers).value
        return _facts(users[0]) if len(users) == 1 else None


def _one(answer: Answer) -> WireConfiguration:
    """Read one configuration: the documentation's example wraps the object in "value", its schema does not."""
    try:
        wrapped: Any = jsontext.loads(answer.content, WireConfigurations).value
    except msgspec.ValidationError:
        return answer.decoded(WireConfiguration)
    if isinstance(wrapped, list):
        if not wrapped:
            raise TemporaryError("an empty Teams configuration")
        wrapped = wrapped[0]
    found: WireConfiguration = wrapped
    return found


def _teams(wire: WireConfiguration, user_id: str) -> TeamsFacts:
    direct: dict[str, str | None] = {}
    inherited: dict[str, str | None] = {}
    for each in wire.effective_policy_assignments or ():
        if each.policy_assignment is not None:
            is_direct = each.policy_assignment.assignment_type == "direct"
            where = direct if is_direct else inherited
            where[(each.policy_type or "").lower()] = each.policy_assignment.display_name
    return TeamsFacts(
        user_id=(wire.id or user_id).lower(),
        account_type=wire.account_type,
        mode=direct.get(_UPGRADE),
        inherited_mode=inherited.get(_UPGRADE),
        video_interop=direct.get(_INTEROP),
    )


def _facts(user: WireUser) -> UserFacts:
    plans = [plan for plan in user.assigned_plans or () if plan.service_plan_id]
    in_force = [plan for plan in plans if plan.capability_status in _IN_FORCE]
    ids = frozenset(plan.service_plan_id.lower() for plan in in_force if plan.service_plan_id)
    return UserFacts(
        user_id=user.id.lower(),
        user_principal_name=user.user_principal_name or "",
        plans=ids,
        plan_assigned_at={
            plan.service_plan_id.lower(): plan.assigned_date_time
            for plan in in_force
            if plan.service_plan_id and plan.assigned_date_time
        },
        plan_ended_at={
            plan.service_plan_id.lower(): plan.assigned_date_time
            for plan in plans
            if plan.service_plan_id and plan.assigned_date_time and plan.service_plan_id.lower() not in ids
        },
        language=user.preferred_language,
        mail=user.mail,
        created_at=user.created_date_time,
    )
