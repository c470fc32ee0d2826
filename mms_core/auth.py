"""Who calls: Entra ID bearer tokens, verified by us, whatever stands in front of the app.

Source: Microsoft identity platform, "Access tokens: validate tokens"; RFC 8725 (JWT best current practices).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Protocol

from mms_core.errors import AccessDenied

if TYPE_CHECKING:
    from collections.abc import Mapping

ALGORITHMS: Final = ("RS256",)
"""What Entra signs with. Never taken from the token: that is how ``none`` and HMAC-with-the-public-key get in."""
LONGEST_TOKEN: Final = 16 * 1024


class Role(StrEnum):
    """App roles. Operating includes reading."""

    READ = "Mms.Read"
    OPERATE = "Mms.Operate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """A caller that has been verified. ``name`` is an object or app id, never an address."""

    name: str
    roles: frozenset[str]


class Keys(Protocol):
    """The issuer's public keys."""

    async def key(self, key_id: str) -> Any:
        """Return the key with this id, or ``None``; unknown ids cause a rate-limited look at the issuer's list."""
        ...


def bearer(headers: Mapping[str, str]) -> str:
    """Return the bearer token of a request.

    Raises:
        AccessDenied: There is none.
    """
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip() or len(token) > LONGEST_TOKEN:
        raise AccessDenied("no bearer token")
    return token.strip()


async def verify(token: str, keys: Keys, *, issuer: str, audience: str, tenant_id: str) -> Principal:
    """Verify a token.

    Args:
        token: The JWT.
        keys: Of the issuer.
        issuer: The only one accepted.
        audience: Accepted audiences, separated by blanks (an app has its id and its URI).
        tenant_id: The only tenant accepted.

    Raises:
        AccessDenied: Code ``Unauthorized``, for every reason alike: a stranger learns nothing.
    """
    # Imported here: cryptography costs 60 ms, and the webhooks of the tenant never get this far.
    import jwt  # noqa: PLC0415

    try:
        header = jwt.get_unverified_header(token)
        key_id = header.get("kid")
        if header.get("alg") not in ALGORITHMS or not isinstance(key_id, str):
            raise AccessDenied("algorithm or key id")
        key = await keys.key(key_id)
        if key is None:
            raise AccessDenied("unknown key")
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=list(ALGORITHMS),
            audience=audience.split(),
            issuer=issuer,
            options={"require": ["exp", "iss", "aud"], "verify_signature": True},
        )
    except jwt.PyJWTError as exc:
        raise AccessDenied(type(exc).__name__) from exc
    if str(claims.get("tid", "")).lower() != tenant_id.lower():
        raise AccessDenied("tenant")
    roles = claims.get("roles")
    return Principal(
        name=str(claims.get("oid") or claims.get("azp") or claims.get("appid") or claims.get("sub") or ""),
        roles=frozenset(each for each in roles if isinstance(each, str)) if isinstance(roles, list) else frozenset(),
    )


def require(principal: Principal, role: Role) -> None:
    """Let the caller pass only with a role.

    Raises:
        AccessDenied: Code ``Forbidden``.
    """
    if role not in principal.roles and Role.OPERATE not in principal.roles:
        raise AccessDenied(str(role), code="Forbidden")
