"""Sign-in: the tenant issues tokens, publishes its keys, and plays the managed-identity endpoint.

Wrong tokens can be had as well (``POST /_tenant/tokens``): another audience, issuer, tenant or key id, expired ones,
``alg`` none, and HS256 signed with the public key, the classic confusion.
"""

import base64
import hashlib
import hmac
import time
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import jwt
import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from mms_simulator import payloads, registrations
from mms_simulator.call import Call, Reply, Routes
from mms_simulator.errors import GraphError, bad_request, unauthorized
from mms_simulator.notify import APPLICATION
from mms_simulator.store import Store
from mms_simulator.zones import graph_instant

API = "api://mms"
GRAPH = "https://graph.microsoft.com"
ACTIVITY = "https://manage.office.com"
STORAGE = "https://storage.azure.com"
READ, OPERATE = "Mms.Read", "Mms.Operate"
DAY = 86_400
_CENTURY = 36_525 * DAY
_GRAPH_NAMES = frozenset({GRAPH, f"{GRAPH}/", "00000003-0000-0000-c000-000000000000"})
_GRAPH_ROLES = ["Calendars.ReadWrite", "User.Read.All", "OnlineMeetings.ReadWrite.All", "AuditLog.Read.All",
                "TeamsUserConfiguration.Read.All", "MailboxSettings.Read"]  # fmt: skip
_CLAIMS_CHALLENGE = base64.b64encode(b'{"access_token":{"nbf":{"essential":true,"value":"1700000000"}}}').decode()


class SignIn:
    """Keys and tokens of the tenant; the key survives a restart."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._verified: dict[str, tuple[float, dict[str, Any]]] = {}
        pem = store.settings.get("signingKey")
        if pem is None:
            pem = new_key()
            store.setting("signingKey", pem)
            store.commit()
        loaded = serialization.load_pem_private_key(pem.encode(), password=None)
        if not isinstance(loaded, rsa.RSAPrivateKey):
            raise TypeError("the tenant's key is no RSA key")
        self._key = loaded
        self.public_pem = loaded.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.kid = hashlib.sha256(self.public_pem).hexdigest()[:27]

    @property
    def issuer(self) -> str:
        """The issuer of this tenant's tokens."""
        return f"{self._store.base}/{self._store.tenant_id}/v2.0"

    @property
    def tenant_id(self) -> str:
        """The tenant whose people and programs sign in here."""
        return self._store.tenant_id

    def token(
        self,
        audience: str,
        roles: list[str],
        *,
        expires_in: float = DAY * 2,
        issuer: str | None = None,
        tenant: str | None = None,
        algorithm: str = "RS256",
        kid: str | None = None,
        app: str | None = None,
        claims: dict[str, Any] | None = None,
    ) -> str:
        """Issue a token; the defaults make a good one. Lifetimes are real time, whatever the tenant's clock says.

        *claims* win over those of an application: a person's.
        """
        now = int(time.time())
        begins = now + min(0, int(expires_in)) - 60
        who = registrations.identity_of(self._store, app) if app else None
        subject = who.id if who else str(uuid.uuid5(uuid.NAMESPACE_DNS, app or APPLICATION))
        told: dict[str, Any] = {
            "aud": audience,
            "iss": issuer or self.issuer,
            "iat": begins,
            "nbf": begins,
            "exp": now + int(expires_in),
            "appid": app or APPLICATION,
            "azp": app or APPLICATION,
            "idtyp": "app",
            "oid": subject,
            "sub": subject,
            "roles": roles,
            "tid": tenant or self._store.tenant_id,
            "ver": "2.0",
            "uti": uuid.uuid4().hex,
            **(claims or {}),
        }
        header = {"kid": kid or self.kid}
        match algorithm:
            case "RS256":
                return jwt.encode(told, self._key, algorithm="RS256", headers=header)
            case "none":
                return jwt.encode(told, "", algorithm="none", headers=header)
            case "HS256":
                return self._confused(told, header)
        raise bad_request(f"The algorithm '{algorithm}' is not supported here.")

    def roles(self, audience: str, app: str | None) -> list[str]:
        """Give the roles of an identity: those assigned to its service principal; the plain set if it has none."""
        who = registrations.identity_of(self._store, app) if app else None
        return registrations.roles_of(self._store, who, audience) if who else roles_for(audience)

    def claims(self, authorization: str, audiences: frozenset[str]) -> dict[str, Any]:
        """Verify a bearer token for one of *audiences*; 401 InvalidAuthenticationToken otherwise (8.3)."""
        scheme, _, text = authorization.partition(" ")
        if scheme.lower() != "bearer" or not text:
            raise unauthorized("Access token is empty.")
        known = self._verified.get(text)
        if known is None or known[0] < time.time():
            known = self._verify(text)
        if known[1].get("aud") not in audiences:
            raise unauthorized("Access token validation failure. Invalid audience.")
        return known[1]

    def keys(self) -> dict[str, Any]:
        """Write the JWKS."""
        key = msgspec.json.decode(RSAAlgorithm.to_jwk(self._key.public_key()))
        return {"keys": [{**key, "kid": self.kid, "use": "sig", "alg": "RS256", "issuer": self.issuer}]}

    def _verify(self, text: str) -> tuple[float, dict[str, Any]]:
        try:
            claims = jwt.decode(
                text, self._key.public_key(), algorithms=["RS256"], options={"verify_aud": False}, issuer=self.issuer
            )
        except jwt.ExpiredSignatureError as exc:
            challenge = f'Bearer realm="", error="insufficient_claims", claims="{_CLAIMS_CHALLENGE}"'
            raise unauthorized(
                "Access token has expired or is not yet valid.", {"WWW-Authenticate": challenge}
            ) from exc
        except jwt.PyJWTError as exc:
            raise unauthorized("Access token validation failure.") from exc
        if len(self._verified) > 1000:  # noqa: PLR2004 - only a bound
            self._verified.clear()
        known = (float(claims["exp"]), claims)
        self._verified[text] = known
        return known

    def _confused(self, claims: dict[str, Any], header: dict[str, str]) -> str:
        """Sign with the public key as an HMAC secret; the library refuses to, so it is done by hand."""
        parts = [msgspec.json.encode({"alg": "HS256", "typ": "JWT", **header}), msgspec.json.encode(claims)]
        signed = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
        signature = hmac.new(self.public_pem, signed, hashlib.sha256).digest()
        return (signed + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


def new_key() -> str:
    """Make a signing key, as PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def audience_of(resource: str) -> str:
    """Give the audience for a resource or scope; this server's own address means Graph (9)."""
    name = resource.split(maxsplit=1)[0].removesuffix(".default").rstrip("/") if resource.strip() else GRAPH
    return GRAPH if name in _GRAPH_NAMES or name.startswith(("http://127.0.0.1", "http://localhost")) else name


def roles_for(audience: str) -> list[str]:
    """Give the application roles that client credentials have for an audience."""
    if audience == GRAPH:
        return _GRAPH_ROLES
    return ["ActivityFeed.Read"] if audience == ACTIVITY else [READ, OPERATE]


def register(routes: Routes, sign_in: SignIn, redeemed: Callable[[Call], Reply]) -> None:
    """Add the routes of sign-in; they answer outside Graph. *redeemed* answers who brings an authorization code."""

    def configuration(call: Call) -> Reply:
        base = f"{call.store.base}/{call.arguments['tenant']}"
        return Reply(
            200,
            {
                "issuer": sign_in.issuer,
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "jwks_uri": f"{base}/discovery/v2.0/keys",
                "id_token_signing_alg_values_supported": ["RS256"],
                "response_types_supported": ["code", "token"],
                "subject_types_supported": ["pairwise"],
                "code_challenge_methods_supported": ["S256"],
            },
            content_type="application/json",
        )

    def keys(_: Call) -> Reply:
        return Reply(200, sign_in.keys(), content_type="application/json")

    def token(call: Call) -> Reply:
        form = {name: values[-1] for name, values in parse_qs(call.body.decode()).items()}
        if form.get("grant_type") == "authorization_code":
            return redeemed(call)
        audience = audience_of(form.get("scope") or form.get("resource") or GRAPH)
        app = form.get("client_id")
        text = sign_in.token(audience, sign_in.roles(audience, app), app=app)
        answer = {"token_type": "Bearer", "expires_in": DAY * 2, "ext_expires_in": DAY * 2, "access_token": text}
        return Reply(200, answer, content_type="application/json")

    def managed_identity(call: Call) -> Reply:
        if not call.headers.get("X-IDENTITY-HEADER"):
            raise GraphError(400, "bad_request_102", "Required header X-IDENTITY-HEADER not found.")
        resource = call.query.get("resource", GRAPH)
        audience = audience_of(resource)
        app = call.query.get("client_id")
        answer = {
            "access_token": sign_in.token(
                audience,
                sign_in.roles(audience, app),
                app=app,
                # Storage takes tokens of the first version, whose issuer is the security token service.
                issuer=f"https://sts.windows.net/{sign_in.tenant_id}/" if audience == STORAGE else None,
            ),
            "expires_on": str(int(time.time()) + DAY * 2),
            "resource": resource,
            "token_type": "Bearer",
        }
        return Reply(200, answer, content_type="application/json")

    def wanted_token(call: Call) -> Reply:
        return Reply(200, issue(sign_in, call.read(payloads.Token)), content_type="application/json")

    routes.add("GET", "{tenant}/v2.0/.well-known/openid-configuration", configuration)
    routes.add("GET", "{tenant}/discovery/v2.0/keys", keys)
    routes.add("POST", "{tenant}/oauth2/v2.0/token", token)
    routes.add("GET", "msi/token", managed_identity)
    routes.add("POST", "_tenant/tokens", wanted_token)


def issue(sign_in: SignIn, wanted: dict[str, Any]) -> dict[str, Any]:
    """Issue the token that a control call describes."""
    given = wanted.get("expiresIn")
    expires_in = DAY * 2 if given is None else max(-_CENTURY, min(_CENTURY, float(given)))
    audience, app = wanted.get("aud") or API, wanted.get("appid")
    given_roles = wanted.get("roles")
    text = sign_in.token(
        audience,
        sign_in.roles(audience, app) if given_roles is None and app else list(given_roles or []),
        expires_in=expires_in,
        issuer=wanted.get("iss"),
        tenant=wanted.get("tid"),
        algorithm=wanted.get("alg") or "RS256",
        kid=wanted.get("kid"),
        app=app,
    )
    return {"token": text, "access_token": text, "expiresOn": graph_instant(int(time.time() + expires_in))}
