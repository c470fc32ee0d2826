"""Signing in of people: the authorization code flow with proof of the key (RFC 7636), as a single-page app uses it.

Somebody is signed in to this tenant already, so no page asks who it is: ``login_hint`` may name a user, and without
one it is an administrator who is in no directory. A registered application is held to the redirect URIs of its platform
"single-page application". An application that nobody registered may come back to ``/api/dashboard`` on this machine and
nowhere else. Of RFC 7636 only S256 is taken; Entra takes ``plain`` too, which no application should send.
"""

import base64
import hashlib
import html
import re
import secrets
import time
import uuid
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from mms_simulator import registrations
from mms_simulator.call import Call, Reply, Routes
from mms_simulator.signin import DAY, SignIn, audience_of, roles_for
from mms_simulator.store import Store

LIFE_SECONDS = 600
"""A code that is older is worth nothing; Entra's live about ten minutes."""
_CHALLENGE = re.compile(r"^[\w-]{43}$", re.ASCII)
_VERIFIER = re.compile(r"^[\w.~-]{43,128}$", re.ASCII)
_MOST_CODES = 1000


@dataclass(frozen=True, slots=True)
class _Code:
    """What a code stands for."""

    client: str
    redirect: str
    challenge: str
    scope: str
    nonce: str
    person: dict[str, str]
    until: float


class _RefusedError(Exception):
    """An answer of OAuth that says no: ``error``, and words with Entra's number."""

    def __init__(self, error: str, words: str) -> None:
        super().__init__(words)
        self.error = error
        self.words = words


def challenge_of(verifier: str) -> str:
    """Give the S256 challenge of a verifier."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def redirects_of(store: Store, client: str) -> list[str] | None:
    """Give the redirect URIs of a registered single-page application, ``None`` where nobody registered it."""
    for row in registrations.listed(store, registrations.APPLICATION):
        if str(row.get("appId", "")).lower() == client.lower():
            return list((row.get("spa") or {}).get("redirectUris") or [])
    return None


def _is_ours(uri: str) -> bool:
    parts = urlsplit(uri)
    return parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost") and parts.path == "/api/dashboard"


def _person(store: Store, hint: str) -> dict[str, str]:
    for user in store.users.values():
        if hint and user.upn.lower() == hint.lower():
            return {"oid": user.id, "preferred_username": user.upn, "name": user.name}
    if hint:
        raise _RefusedError("access_denied", "AADSTS50034: The user account does not exist in this directory.")
    oid = str(uuid.uuid5(uuid.NAMESPACE_DNS, "administrator"))
    return {"oid": oid, "preferred_username": "admin@contoso.example", "name": "Administrator"}


class Codes:
    """Codes that were given out and not redeemed yet; in memory, for they live for minutes."""

    def __init__(self, sign_in: SignIn) -> None:
        self._sign_in = sign_in
        self._codes: dict[str, _Code] = {}

    def give(self, store: Store, asked: dict[str, str]) -> str:
        """Give a code for a request whose client and redirect URI are in order; ``_RefusedError`` otherwise."""
        if asked.get("response_type") != "code":
            raise _RefusedError("unsupported_response_type", "AADSTS700054: The response type is not enabled.")
        if asked.get("code_challenge_method") != "S256" or not _CHALLENGE.match(asked.get("code_challenge", "")):
            raise _RefusedError(
                "invalid_request", "AADSTS9002325: Proof Key for Code Exchange (S256) is required for this client type."
            )
        if not asked.get("scope", "").strip():
            raise _RefusedError("invalid_request", "AADSTS900144: The request must contain the parameter: 'scope'.")
        person = _person(store, asked.get("login_hint", ""))
        while len(self._codes) >= _MOST_CODES:
            del self._codes[next(iter(self._codes))]
        code = secrets.token_urlsafe(32)
        self._codes[code] = _Code(
            client=asked["client_id"], redirect=asked["redirect_uri"], challenge=asked["code_challenge"],
            scope=asked["scope"], nonce=asked.get("nonce", ""), person=person, until=time.time() + LIFE_SECONDS,
        )  # fmt: skip
        return code

    def redeem(self, form: dict[str, str], origin: str) -> dict[str, Any]:
        """Give tokens for a code to a page of *origin*; whatever comes of it, the code is used up."""
        given = self._codes.pop(form.get("code", ""), None)
        if given is None or given.until < time.time():
            raise _RefusedError("invalid_grant", "AADSTS54005: The code was redeemed already, has expired or is wrong.")
        if form.get("client_id") != given.client:
            raise _RefusedError("invalid_grant", "AADSTS700005: The code was issued to another client.")
        if form.get("redirect_uri") != given.redirect:
            raise _RefusedError("invalid_grant", "AADSTS500112: The reply address is not the one of the code.")
        redirect = urlsplit(given.redirect)
        if origin != f"{redirect.scheme}://{redirect.netloc}":
            raise _RefusedError(
                "invalid_request",
                "AADSTS9002327: Tokens of a single-page application may only be redeemed by cross-origin requests.",
            )
        verifier = form.get("code_verifier", "")
        if not _VERIFIER.match(verifier) or challenge_of(verifier) != given.challenge:
            raise _RefusedError("invalid_grant", "AADSTS501481: The Code_Verifier does not match the code_challenge.")
        names = given.scope.split()
        resource = next((name for name in names if name not in ("openid", "profile", "email", "offline_access")), "")
        audience = audience_of(resource)
        claims = {**given.person, "sub": given.person["oid"], "appid": given.client, "azp": given.client}
        token = self._sign_in.token(
            audience, roles_for(audience), claims={**claims, "idtyp": "user", "scp": "access_as_user"}
        )
        answer = {
            "token_type": "Bearer", "scope": given.scope, "expires_in": DAY * 2, "ext_expires_in": DAY * 2,
            "access_token": token,
        }  # fmt: skip
        if "openid" in names:
            own = {**claims, **({"nonce": given.nonce} if given.nonce else {})}
            answer["id_token"] = self._sign_in.token(given.client, [], claims=own)
        return answer


def register(routes: Routes, sign_in: SignIn) -> Codes:
    """Add the page of sign-in."""
    codes = Codes(sign_in)

    def authorize(call: Call) -> Reply:
        asked = dict(call.query)
        client, redirect = asked.get("client_id", ""), asked.get("redirect_uri", "")
        known = redirects_of(call.store, client)
        if not client or not (redirect in known if known is not None else _is_ours(redirect)):
            # Nothing goes to an address that is not the application's, not even an error.
            return _page(
                "AADSTS50011: The redirect URI specified in the request does not match the redirect URIs configured "
                f"for the application '{client}'."
            )
        try:
            answer = {"code": codes.give(call.store, asked)}
        except _RefusedError as exc:
            answer = {"error": exc.error, "error_description": exc.words}
        if "state" in asked:
            answer["state"] = asked["state"]
        is_fragment = asked.get("response_mode") == "fragment"
        mark = "#" if is_fragment else "&" if urlsplit(redirect).query else "?"
        return Reply(302, headers={"Location": f"{redirect}{mark}{urlencode(answer)}", "Cache-Control": "no-store"})

    routes.add("GET", "{tenant}/oauth2/v2.0/authorize", authorize)
    return codes


def _page(words: str) -> Reply:
    text = f"<!doctype html><title>Sign in</title><h1>Sorry, we could not sign you in</h1><p>{html.escape(words)}</p>"
    return Reply(400, raw=text.encode(), content_type="text/html; charset=utf-8")


def redemption(codes: Codes, call: Call) -> Reply:
    """Answer ``grant_type=authorization_code``; a browser's page may read it."""
    form = {name: values[-1] for name, values in parse_qs(call.body.decode()).items()}
    origin = call.headers.get("Origin", "")
    headers = {"Access-Control-Allow-Origin": origin, "Vary": "Origin"} if origin else {}
    try:
        return Reply(200, codes.redeem(form, origin), headers, content_type="application/json")
    except _RefusedError as exc:
        answer = {"error": exc.error, "error_description": exc.words}
        return Reply(400, answer, headers, content_type="application/json")
