"""The part of a tenant's directory that the rights script reads and changes, by the unmodified SDK."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
import uuid
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Self

from report import RightsError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from azure.core.credentials import AccessToken
    from azure.core.credentials_async import AsyncTokenCredential
    from msgraph.generated.models.app_role_assignment import AppRoleAssignment
    from msgraph.generated.models.service_principal import ServicePrincipal
    from msgraph.graph_service_client import GraphServiceClient

_PATIENCE_SECONDS: Final = 60.0
_SPREADING_SECONDS: Final = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Waits until every replica of the directory knows what one of them has just made."""


class FromEnvironment:
    """A token that somebody put into MMS_GRAPH_TOKEN: for pipelines, and for trying this against the simulator."""

    async def get_token(self, *_scopes: str, **_options: Any) -> AccessToken:
        """Return it as it is."""
        from azure.core.credentials import AccessToken

        return AccessToken(os.environ["MMS_GRAPH_TOKEN"], int(time.time()) + 3600)

    async def close(self) -> None:
        """Nothing is open."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing is open."""


@contextlib.asynccontextmanager
async def client(graph_url: str) -> AsyncIterator[GraphServiceClient]:
    """Give the unmodified SDK's client, signed in as whoever runs this, and close its connections."""
    import httpx
    from azure.identity.aio import (
        AzureCliCredential,
        AzureDeveloperCliCredential,
        ChainedTokenCredential,
    )
    from msgraph.graph_request_adapter import GraphRequestAdapter
    from msgraph.graph_service_client import GraphServiceClient
    from msgraph_core import GraphClientFactory
    from msgraph_core.authentication import AzureIdentityAuthenticationProvider

    credential: AsyncTokenCredential = (
        FromEnvironment()
        if "MMS_GRAPH_TOKEN" in os.environ
        else ChainedTokenCredential(AzureCliCredential(), AzureDeveloperCliCredential())
    )
    root = graph_url.rsplit("/v1.0", 1)[0]
    host = root.split("//", 1)[1].split(":", 1)[0]
    provider = AzureIdentityAuthenticationProvider(credential, scopes=[f"{root}/.default"], allowed_hosts=[host])
    # Graph's own transport does not pass the closing on to the one beneath it.
    async with credential, httpx.AsyncHTTPTransport() as connections:
        http = httpx.AsyncClient(transport=connections, timeout=_PATIENCE_SECONDS)
        adapter = GraphRequestAdapter(provider, GraphClientFactory.create_with_default_middleware(client=http))
        adapter.base_url = graph_url
        yield GraphServiceClient(request_adapter=adapter)


class Directory:
    """The part of Graph that this needs."""

    def __init__(self, graph: GraphServiceClient) -> None:
        self._graph = graph

    async def service_principal(self, app_id: str) -> ServicePrincipal | None:
        """Return what stands in this tenant for the application *app_id*."""
        from kiota_abstractions.base_request_configuration import RequestConfiguration
        from msgraph.generated.service_principals.service_principals_request_builder import (
            ServicePrincipalsRequestBuilder,
        )

        query = ServicePrincipalsRequestBuilder.ServicePrincipalsRequestBuilderGetQueryParameters(
            filter=f"appId eq '{app_id}'"
        )
        answer = await self._graph.service_principals.get(RequestConfiguration(query_parameters=query))
        found = (answer.value if answer else None) or []
        return found[0] if found else None

    async def make_service_principal(self, app_id: str, *, assigned_only: bool = False) -> ServicePrincipal:
        """Make it."""
        from msgraph.generated.models.service_principal import ServicePrincipal

        body = ServicePrincipal(app_id=app_id, app_role_assignment_required=assigned_only)
        made = await self._graph.service_principals.post(body)
        if made is None:
            raise RightsError(f"Graph made no service principal for {app_id}")
        return made

    async def application(self, name: str) -> Any:
        """Return the one registration of this name.

        Raises:
            RightsError: There are several; a guess would give the wrong one its roles.
        """
        from kiota_abstractions.base_request_configuration import RequestConfiguration
        from msgraph.generated.applications.applications_request_builder import (
            ApplicationsRequestBuilder,
        )

        query = ApplicationsRequestBuilder.ApplicationsRequestBuilderGetQueryParameters(
            filter=f"displayName eq '{name.replace(chr(39), chr(39) * 2)}'"
        )
        answer = await self._graph.applications.get(RequestConfiguration(query_parameters=query))
        found = (answer.value if answer else None) or []
        if len(found) > 1:
            raise RightsError(f"{len(found)} applications are called {name!r}; rename or delete all but one")
        return found[0] if found else None

    async def make_application(self, body: Any) -> Any:
        """Make it."""
        return await self._graph.applications.post(body)

    async def change_application(self, object_id: str, body: Any) -> None:
        """Change what *body* names."""
        await self._graph.applications.by_application_id(object_id).patch(body)

    async def assignments(self, principal_id: str) -> list[AppRoleAssignment]:
        """Return every app role that the principal has been given."""
        builder = self._graph.service_principals.by_service_principal_id(principal_id).app_role_assignments
        answer = await builder.get()
        found: list[AppRoleAssignment] = []
        while answer is not None:
            found += answer.value or []
            answer = await builder.with_url(answer.odata_next_link).get() if answer.odata_next_link else None
        return found

    async def assign(self, principal_id: str, resource_id: str, role: uuid.UUID) -> None:
        """Give the principal one app role of a resource."""
        from msgraph.generated.models.app_role_assignment import AppRoleAssignment

        body = AppRoleAssignment(
            principal_id=uuid.UUID(principal_id), resource_id=uuid.UUID(resource_id), app_role_id=role
        )
        builder = self._graph.service_principals.by_service_principal_id(principal_id)
        await builder.app_role_assignments.post(body)


async def once_known(ask: Callable[[], Awaitable[Any]]) -> Any:
    """Ask for something about what was made a moment ago, again while a replica of the directory does not know it."""
    from kiota_abstractions.api_error import APIError

    for seconds in _SPREADING_SECONDS:
        try:
            return await ask()
        except APIError as error:
            text = str(getattr(getattr(error, "error", None), "message", ""))
            is_unknown = error.response_status_code == HTTPStatus.NOT_FOUND or "valid application object" in text
            if not is_unknown:
                raise
        await asyncio.sleep(seconds)
    return await ask()
