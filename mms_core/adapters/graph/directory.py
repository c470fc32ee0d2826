"""Users and their licences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kiota_abstractions.base_request_configuration import RequestConfiguration
from msgraph.generated.users.item.user_item_request_builder import UserItemRequestBuilder
from msgraph.generated.users.users_request_builder import UsersRequestBuilder

from mms_core.adapters.graph.wire import WireConfiguration, WireUser, WireUsers
from mms_core.errors import NotFound, PermanentError
from mms_core.model import UserFacts
from mms_core.ports import Directory

if TYPE_CHECKING:
    from mms_core.adapters.graph.transport import GraphTransport

_SELECT: Final = ["id", "userPrincipalName", "assignedPlans", "preferredLanguage"]
_IN_FORCE: Final = ("Enabled", "Warning")


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

    async def account_type(self, user_id: str) -> str | None:
        """See :class:`~mms_core.ports.Directory`."""
        builder = self._transport.client.admin.teams.user_configurations.by_teams_user_configuration_id(user_id)
        try:
            answer = await self._transport.read(builder.to_get_request_information())
        except NotFound:
            return None
        configuration = answer.decoded(WireConfiguration)
        # The documentation's example wraps the object in "value", its schema does not.
        return (configuration.value or configuration).account_type

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


def _facts(user: WireUser) -> UserFacts:
    in_force = [plan for plan in user.assigned_plans or () if plan.capability_status in _IN_FORCE]
    return UserFacts(
        user_id=user.id.lower(),
        user_principal_name=user.user_principal_name or "",
        plans=frozenset(plan.service_plan_id.lower() for plan in in_force if plan.service_plan_id),
        plan_assigned_at={
            plan.service_plan_id.lower(): plan.assigned_date_time
            for plan in in_force
            if plan.service_plan_id and plan.assigned_date_time
        },
        language=user.preferred_language,
    )
