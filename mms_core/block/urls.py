"""Join URLs: recognise them, take the wrappers off, and write one meeting's URL in one way.

Two URLs of one meeting differ in the case of percent escapes, in ``@`` against ``%40``, in HTML's ``&amp;``, in Skype's
``?sl=1`` (the web-app alternative), and in the wrapper that a mail gateway put around them.
"""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode
from functools import lru_cache
from html import unescape
from typing import Final, NamedTuple
from urllib.parse import SplitResult, parse_qs, quote, unquote, urlsplit

MAX_WRAPPERS: Final = 5
"""Gateways wrapped inside gateways that we take off; real mail has one or two."""

MAX_URL: Final = 8_192
"""Characters of a URL that we look at: longer ones are no join URLs, and unwrapping stays cheap."""

MAX_PARAMETERS: Final = 50
"""Parameters of a wrapper's query; real ones have five."""

MICROSOFT_HOSTS: Final = (
    ".microsoft.com",
    ".lync.com",
    ".microsoft.us",
    ".cloud.microsoft",
    ".live.com",
    "aka.ms",
    ".office.com",
)
"""How hosts of Microsoft's end: its own dial-in pages are not another provider's."""

_TEAMS_HOST = re.compile(
    r"((?:(?:gov|dod)\.)?teams\.(?:microsoft\.(?:com|us)|cloud\.microsoft|microsoftonline\.cn))"
    r"(?:\.mcas\.ms|\.mcas-gov\.us)?\Z"
)
"""Teams' hosts in the clouds of Microsoft, and the same behind Defender for Cloud Apps."""
_THREAD_PATH = re.compile(r"/l/meetup-join/([^/]+)/([^/]+)\Z")
_SHORT_PATH = re.compile(r"/meet/([0-9]{6,20})/?\Z")
_USUAL = re.compile(
    r"https://teams\.microsoft\.com/l/meetup-join/19%3a(meeting_[A-Za-z0-9]+)%40thread\.v2/0\?context="
    r"%7b%22Tid%22%3a%22([0-9a-f-]{36})%22%2c%22Oid%22%3a%22([0-9a-f-]{36})%22%7d\Z"
)
"""A classic URL that is canonical already, as nearly all are: no need to take it apart and put it together."""
_USUAL_SKYPE = re.compile(
    r"(https://(?:meet|join|sfb|s4b|lync|skype|conf)[a-z0-9-]*(?:\.[a-z0-9-]+)+"
    r"(?<!google\.com)(?:/[A-Za-z0-9._-]+){1,3}/([A-Za-z0-9]+))\Z"
)
"""The same for a simple URL."""
_WEB_APP: Final = "?sl=1"
"""Behind a simple URL for the web app; the URL itself stands before it in the same block, so that it is known."""
_LAUNCHER = "/dl/launcher/launcher.html"
_SKYPE_PATH = re.compile(r"(?:/[^/\s]+){2,4}\Z")
_SKYPE_MEET_PATH = re.compile(r"/meet(?:/[^/\s]+){2,4}\Z", re.IGNORECASE)
_SKYPE_HOST = re.compile(r"(?:meet|join|sfb|s4b|lync|skype|conf)[a-z0-9-]*\.")
_WRAPPERS: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    (re.compile(r"(?:\w+\.)*safelinks\.protection\.(?:outlook|office365)\.(?:com|us|cn)\Z"), "url"),
    (re.compile(r"(?:[\w-]+\.)*(?:linkprotect\.cudasvc\.com|protection\.sophos\.com)\Z"), "a"),
    (re.compile(r"(?:[\w-]+\.)*protection\.sophos\.com\Z"), "u"),
    (re.compile(r"urldefense\.proofpoint\.com\Z"), "u"),
    (re.compile(r"www\.google\.[a-z.]{2,6}\Z"), "q"),
)
_GATEWAYS: Final = ("safelinks", "cudasvc", "sophos", "urldefense", "www.google.")
"""What is in the URL of every gateway: without one of these there is nothing to take off."""
_URLDEFENSE_3 = re.compile(r"https?://urldefense\.(?:com|us)/v3/__(.*?)__;([\w-]*+)", re.IGNORECASE | re.DOTALL)
_DEFENDED = re.compile(r"\*(?:\*(.))?", re.DOTALL)
_RUNS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
"""What stands behind two stars says how many characters they stand for: two with ``A``, and so on."""
_ESCAPED_URL = re.compile(r"[=/](https?%3a%2f%2f[^&;#/\s]++)", re.IGNORECASE)
"""A whole URL inside another one, as every gateway has it."""
_IN_BROWSER: Final = frozenset({"/_", "/v2", "/v2/", "/"})
"""Paths of Teams' own page, which keeps a link in its fragment."""


class JoinUrl(NamedTuple):
    """A URL that was recognised as one that joins a meeting (a named tuple, because many are made for each body)."""

    canonical: str
    product: str
    """``teams``, ``consumer`` (Teams for private use) or ``skype``."""
    short: bool = False
    organizer_id: str | None = None
    tenant_id: str | None = None
    meeting_id: str | None = None
    """The thread, the digits of a short URL, or the last part of a Skype URL."""


def canonical_join_url(url: str) -> str:
    """Write a join URL in the one way that can be compared.

    Args:
        url: As found: HTML-escaped or not, wrapped by Safe Links or not.

    Returns:
        Teams: the classic form with lower-case escapes, as Graph gives it in ``joinUrl``. Skype: no query, no slash
        at the end. Any other URL: unwrapped, scheme and host in lower case.
    Source:
        The shapes: docs/blocks.md, "Join URLs".
    """
    known = parse_join_url(url)
    if known is not None:
        return known.canonical
    bare = unwrap(url)
    return _lower_host(bare)


@lru_cache(maxsize=256)
def parse_join_url(url: str) -> JoinUrl | None:
    """Recognise a join URL by its shape; ``None`` for any other text."""
    return _usual(url) or _unusual(url)


def _usual(url: str) -> JoinUrl | None:
    """A URL that is canonical already."""
    usual = _USUAL.match(url)
    if usual is not None:
        return JoinUrl(
            canonical=url,
            product="teams",
            organizer_id=usual[3],
            tenant_id=usual[2],
            meeting_id=f"19:{usual[1]}@thread.v2",
        )
    if url.endswith(_WEB_APP) and url.find("?") == len(url) - len(_WEB_APP):
        twin = parse_join_url(url.removesuffix(_WEB_APP))
        return twin if twin is not None and twin.product == "skype" else None
    usual = _USUAL_SKYPE.match(url)
    if usual is not None:
        return JoinUrl(canonical=usual[1], product="skype", meeting_id=usual[2])
    return None


def _unusual(url: str) -> JoinUrl | None:
    """A URL in any other spelling or wrapper."""
    if len(url) > MAX_URL or ("//" not in url and "%2" not in url):
        return None
    bare = unwrap(url)
    known = _unwrapped(bare)
    if known is None:
        # A gateway that we do not know by name: one of these, because a page that only mentions a meeting has many.
        inner = _ESCAPED_URL.search(bare)
        known = _unwrapped(unwrap(unquote(inner[1]))) if inner is not None else None
    return known


def _unwrapped(url: str) -> JoinUrl | None:
    """A URL without any wrapper."""
    parts = _split(url)
    if parts is None or parts.scheme.lower() not in {"http", "https", "msteams"}:
        return None
    host = (parts.hostname or "").lower()
    teams = _TEAMS_HOST.match(host)
    if teams is not None:
        if parts.path in _IN_BROWSER and parts.fragment.startswith("/l/"):
            path, _, query = parts.fragment.partition("?")
            return _teams(teams[1], path, query)
        return _teams(teams[1], parts.path, parts.query)
    if host == "teams.live.com":
        return _short(host, parts.path, parts.query, "consumer")
    return _skype(host, parts.path, parts.query)


def _split(url: str) -> SplitResult | None:
    """Take a URL apart; ``None`` where its host is none."""
    try:
        parts = urlsplit(url)
        _ = parts.hostname
    except ValueError:
        return None
    return parts


def unwrap(url: str) -> str:
    """Take off HTML escapes and the wrappers of mail gateways, at most :data:`MAX_WRAPPERS` of them."""
    bare = url.strip()
    if "&" in bare:
        bare = unescape(bare)
    lower = bare.lower()
    if not any(gateway in lower for gateway in _GATEWAYS):
        return bare
    for _ in range(MAX_WRAPPERS):
        inner = _inside(bare)
        if inner is None:
            return bare
        bare = inner
    return bare


def _inside(url: str) -> str | None:
    """The URL inside one wrapper."""
    if len(url) > MAX_URL:
        return None
    defended = _URLDEFENSE_3.match(url)
    if defended is not None:
        return _undefended(defended[1], defended[2])
    parts = _split(url)
    host = (parts.hostname or "").lower() if parts is not None else ""
    parameter = next((name for pattern, name in _WRAPPERS if pattern.match(host)), None)
    if parts is None or parameter is None or parts.query.count("&") >= MAX_PARAMETERS:
        return None
    inner = parse_qs(parts.query).get(parameter, [""])[0]
    if host == "urldefense.proofpoint.com":
        inner = unquote(inner.replace("-", "%").replace("_", "/"))
    return inner or None


def _undefended(text: str, code: str) -> str:
    """Put back the characters that Proofpoint's third version has written as stars: they follow, in base64."""
    try:
        taken = urlsafe_b64decode(code + "=" * (-len(code) % 4)).decode("utf-8", "replace")
    except ValueError:
        return text
    position = 0

    def put_back(star: re.Match[str]) -> str:
        nonlocal position
        start = position
        position += 1 if star[1] is None else _RUNS.find(star[1]) + 2
        return taken[start:position]

    return _DEFENDED.sub(put_back, text)


def _short(host: str, path: str, query: str, product: str) -> JoinUrl | None:
    """A URL of the short form: digits and a passcode."""
    short = _SHORT_PATH.match(path)
    if short is None:
        return None
    canonical = f"https://{host}/meet/{short[1]}{_passcode(query)}"
    return JoinUrl(canonical=canonical, product=product, short=True, meeting_id=short[1])


def _teams(host: str, path: str, query: str) -> JoinUrl | None:
    """A Teams URL of a work or school account."""
    if path == _LAUNCHER:
        # The page that asks "app or browser?" carries the join URL's path in its query.
        inner = parse_qs(query).get("url", [""])[0].removeprefix("/_#")
        return parse_join_url(f"https://{host}{inner}") if inner.startswith("/l/") else None
    short = _short(host, path, query, "teams")
    if short is not None:
        return short
    # Some gateways leave the whole path escaped, or escape it twice: unquoting what is left of it is harmless.
    if "/l/meetup-join/" not in path:
        path = unquote(path)
    classic = _THREAD_PATH.match(path)
    if classic is None:
        return None
    thread, message = unquote(unquote(classic[1])), unquote(classic[2])
    context = _context(query)
    canonical = f"https://{host}/l/meetup-join/{_escape(thread)}/{_escape(message)}"
    if context:
        canonical += "?context=" + _escape(json.dumps(context, separators=(",", ":"), ensure_ascii=False))
    return JoinUrl(
        canonical=canonical,
        product="teams",
        organizer_id=_text(context.get("Oid")),
        tenant_id=_text(context.get("Tid")),
        meeting_id=thread,
    )


def _context(query: str) -> dict[str, object]:
    """The JSON of ``context=``; empty when it is missing or broken."""
    for part in query.split("&", 20):
        name, _, value = part.partition("=")
        if name.lower() != "context":
            continue
        for _ in range(3):
            value = unquote(value)
            try:
                found = json.loads(value)
            except (ValueError, RecursionError):
                continue
            if not isinstance(found, dict):
                return {}
            return dict(_context_item(str(key), item) for key, item in found.items())
    return {}


def _context_item(name: str, value: object) -> tuple[str, object]:
    """Tenant and organiser in the case that Graph writes them in; everything else as it is."""
    known = {"tid": "Tid", "oid": "Oid"}.get(name.lower())
    if known is None or not isinstance(value, str):
        return name, value
    return known, value.lower()


def _passcode(query: str) -> str:
    """The part of a short URL's query that belongs to the meeting."""
    for part in query.split("&", 20):
        if part.startswith("p="):
            return f"?{part}"
    return ""


def _skype(host: str, path: str, query: str) -> JoinUrl | None:
    """A Skype for Business or Lync simple URL: any host may serve it, so the shape decides little."""
    path = path.rstrip("/")
    # Nothing but the web app's twin of a join URL has this query, so that any host will do.
    by_host = (_SKYPE_HOST.match(host) or query == "sl=1") and _SKYPE_PATH.match(path) and "google.com" not in host
    if not by_host and not _SKYPE_MEET_PATH.match(path):
        return None
    return JoinUrl(canonical=f"https://{host}{path}", product="skype", meeting_id=path.rsplit("/", 1)[1])


def simple_url(url: str) -> JoinUrl | None:
    """Read the URL behind Outlook's own bookmark as a join URL of Skype's or Lync's, whatever its host is called."""
    bare = unwrap(url).partition("?")[0]
    known = parse_join_url(bare + _WEB_APP)
    if known is None or known.product != "skype":
        return None
    host = known.canonical.split("/", 3)[2]
    # The other links of a block: help, and pages of dial-in numbers.
    is_help = host.endswith(MICROSOFT_HOSTS) and not host.endswith(".lync.com")
    return None if is_help or host.startswith("dialin.") or "/dialin" in known.canonical.lower() else known


def _escape(text: str) -> str:
    """Escape as Teams does: lower-case hex, dots, dashes and underscores plain."""
    return re.sub(r"%[0-9A-F]{2}", lambda found: found[0].lower(), quote(text, safe="", errors="surrogatepass"))


def _lower_host(url: str) -> str:
    """Scheme and host in lower case, the rest as it is."""
    found = re.match(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*", url)
    return url[: found.end()].lower() + url[found.end() :] if found else url


def _text(value: object) -> str | None:
    """A string that is not empty."""
    return value if isinstance(value, str) and value else None
