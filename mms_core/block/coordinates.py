"""How people reach the meeting by other means: dial-in numbers, conference id, room-system key.

All of it is found by shape: ``tel:`` links, ``,,digits#``, ``digits#``, an address followed by digits. No label is
read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape
from typing import Final
from urllib.parse import unquote, urlsplit

from mms_core.block.marks import find_all
from mms_core.block.urls import MAX_URL, MICROSOFT_HOSTS, unwrap

MIN_NUMBER: Final = 4
"""Digits of the shortest number that can be dialled into a conference: an internal one."""

MAX_NUMBERS: Final = 100
"""Dial-in numbers kept of one block: a provider's list of countries has up to eighty."""

_TEL = re.compile(rb"tel:[^\"'<>\\\]]{3,120}")
_DIALIN_ID = re.compile(rb"dialin\.[a-z0-9.-]+/[^\"'<>\s]{0,200}?(?:[?&;]|%3f)id(?:=|%3d)([0-9]{4,12})")
_HASHED = re.compile(r"(?<![0-9,])([0-9](?:[0-9 \u00a0]{2,18})[0-9])[ \u00a0]?#")
_LABELLED = re.compile(
    r"(?<=[:\uff1a])[ \t\u00a0]*([0-9](?:[0-9 \u00a0]{2,16})[0-9])(?=[ \t\u00a0]*(?:$|[\r\n|]))", re.MULTILINE
)
_PLUS_NUMBER = re.compile(r"\+[0-9][0-9 \u00a0().\-/]{5,24}[0-9]")
_BARE_NUMBER = re.compile(r"(?<![0-9+/=.@:#-])([0-9][0-9 \-]{5,16}[0-9])(?=\s*(?:$|[,;\r\n]))", re.MULTILINE)
_ADDRESS = re.compile(r"[\w.+-]{1,80}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,6}")
_ID_AFTER = re.compile(r"(?<![0-9])[0-9](?:[0-9 \u00a0]{4,20})[0-9](?![0-9])")
_LINE_TAG = re.compile(r"<(?:/?(?:p|div|tr|li|td|h[1-6]|table|ul|ol)|br|hr)\b[^>]*+>", re.IGNORECASE)
_OTHER_TAG = re.compile(r"<!--.*?-->|</?[A-Za-z!][^>]*+>", re.DOTALL)
_URL_REST = re.compile(rb"://[^\"'<>\s]{4,2000}")
_HOST = re.compile(r"[a-z0-9.-]++")
"""A host that is whole: a colon or an ``@`` may make a user's name of what stands before it."""
_PAGE_WORDS: Final = (b"dial", b"number", b"globalaccess")
"""What is in the URL of every provider's page of numbers, in English in every country."""
_ONLY_DIGITS = re.compile(r"[^0-9]")


@dataclass(slots=True, kw_only=True)
class Coordinates:
    """Dial-in and room-system data of one block."""

    conference_id: str | None
    numbers: tuple[str, ...]
    vtc_key: str | None
    vtc_conference_id: str | None
    third_party_acp: bool


def visible_text(html: str) -> str:
    """Text of a short stretch of HTML, a line for a paragraph; for reading data out, never for writing."""
    if "<" in html:
        html = _OTHER_TAG.sub("", _LINE_TAG.sub("\n", html))
    return unescape(html) if "&" in html else html


def teams_coordinates(raw: str, low: bytes) -> Coordinates:
    """Read a Teams block.

    Args:
        raw: The block as it stands, HTML or text.
        low: Its shadow, for searching.
    """
    numbers, conference_id = _telephone(raw, low)
    if conference_id is None:
        dialin = _DIALIN_ID.search(low)
        conference_id = dialin[1].decode() if dialin is not None else None
    # Text is taken out of the HTML only where something can be in it: most blocks have no dial-in and no room system.
    has_address = _may_have_address(raw)
    dials = "+" in raw or "&#43;" in raw
    text = (
        visible_text(raw)
        if has_address or (not numbers and dials) or (conference_id is None and _has_hashed(raw))
        else ""
    )
    if conference_id is None:
        hashed = _HASHED.search(text)
        conference_id = _digits(hashed[1]) if hashed is not None else None
    if not numbers:
        numbers = tuple(dict.fromkeys(map(_number, _PLUS_NUMBER.findall(text)[:MAX_NUMBERS])))
    key, key_id = _room_system(text) if has_address else (None, None)
    return Coordinates(
        conference_id=conference_id,
        numbers=numbers,
        vtc_key=key,
        vtc_conference_id=key_id,
        third_party_acp=False,
    )


def skype_coordinates(raw: str, low: bytes, join_host: str) -> Coordinates:
    """Read a Skype block.

    Args:
        raw: The block as it stands, HTML or text.
        low: Its shadow, for searching.
        join_host: Host of its join URL: the organisation's own dial-in page stands beside it.
    """
    numbers, conference_id = _telephone(raw, low)
    if not numbers or conference_id is None:
        text = visible_text(raw)
        if conference_id is None:
            labelled = _LABELLED.search(text)
            conference_id = _digits(labelled[1]) if labelled is not None else None
        numbers = numbers or tuple(dict.fromkeys(map(_number, _PLUS_NUMBER.findall(text)[:MAX_NUMBERS])))
        if not numbers and conference_id is not None:
            found = map(_digits, _BARE_NUMBER.findall(text)[:MAX_NUMBERS])
            numbers = tuple(dict.fromkeys(number for number in found if number != conference_id))
    return Coordinates(
        conference_id=conference_id,
        numbers=numbers,
        vtc_key=None,
        vtc_conference_id=None,
        third_party_acp=bool(numbers) and _is_third_party(raw, low, join_host),
    )


def _has_hashed(raw: str) -> bool:
    """Say whether digits stand before a ``#`` somewhere, as in a conference id (and as in no colour)."""
    position = raw.find("#")
    while position > 1:
        if raw[position - 1].isdecimal() or (raw[position - 1].isspace() and raw[position - 2].isdecimal()):
            return True
        position = raw.find("#", position + 1)
    return False


def _may_have_address(raw: str) -> bool:
    """Say whether an ``@`` stands in a block besides those of Teams' thread ids."""
    position = raw.find("@")
    while position >= 0:
        if not raw.startswith("thread", position + 1):
            return True
        position = raw.find("@", position + 1)
    return False


def _telephone(raw: str, low: bytes) -> tuple[tuple[str, ...], str | None]:
    """Numbers and conference id out of ``tel:`` URLs (RFC 3966; Microsoft adds ``,,id#``)."""
    numbers: dict[str, None] = {}
    conference_id = None
    for position in find_all(low, b"tel:"):
        match = _TEL.match(low, position)
        if match is None:
            continue
        target = raw[match.start() + 4 : match.end()]
        target = unescape(target) if "&" in target else target
        target = unquote(target) if "%" in target else target
        number, _, rest = target.partition(",")
        digits = _number(number)
        if len(digits) >= MIN_NUMBER:
            numbers[digits] = None
        if conference_id is None:
            conference_id = _digits(rest.split("#")[0]) or None
        if len(numbers) >= MAX_NUMBERS:
            break
    return tuple(numbers), conference_id


def _room_system(text: str) -> tuple[str | None, str | None]:
    """The address that a room system dials and the id it then types: an address with digits close behind it."""
    for address in _ADDRESS.finditer(text):
        behind = text[address.end() : address.end() + 200].replace(address[0], "")
        found = _ID_AFTER.search(behind)
        if found is not None:
            return address[0], _digits(found[0])
    return None, None


def _is_third_party(raw: str, low: bytes, join_host: str) -> bool:
    """Say whether the page of local numbers is somebody else's.

    Microsoft's and the organisation's own dial-in pages are not another provider's. On-premises, the page is a simple
    URL ``https://dialin.<domain>`` or lives in the domain of the join URL.
    """
    domain = ".".join(join_host.split(".")[-2:])
    done = -1
    dial, number, access = _PAGE_WORDS
    for hit in sorted([*find_all(low, dial), *find_all(low, number), *find_all(low, access)]):
        if low.startswith(b"://dialin.", hit - 3):
            # Whatever follows, this is a simple URL of the organisation.
            continue
        position = low.rfind(b"://", max(0, hit - MAX_URL), hit)
        rest = _URL_REST.match(low, position) if position > done else None
        if rest is None or rest.end() <= hit:
            continue
        done = position
        url = rest[0]
        if not low.endswith((b"http", b"https"), 0, position):
            continue
        # Most are somebody's whom we know, and then the URL need not be taken apart.
        host = url[3:].partition(b"/")[0].decode("latin-1")
        if _HOST.fullmatch(host) and _is_known(host, domain):
            continue
        try:
            parts = urlsplit(unwrap("https" + raw[position : position + len(url)]))
            host = (parts.hostname or "").lower()
        except ValueError:
            continue
        if not host or _is_known(host, domain):
            continue
        if "dial" in host or any(word.decode() in parts.path.lower() for word in _PAGE_WORDS):
            return True
    return False


def _is_known(host: str, domain: str) -> bool:
    """Say whether a host is Microsoft's or the organisation's own."""
    return host.endswith((domain, *MICROSOFT_HOSTS)) or host.startswith("dialin.")


def _number(text: str) -> str:
    """A number as it is dialled: digits, with the plus where it is written."""
    text = text.lstrip()
    return "+" + _digits(text[1:]) if text.startswith("+") else _digits(text)


def _digits(text: str) -> str:
    return text if text.isascii() and text.isdecimal() else _ONLY_DIGITS.sub("", text)
