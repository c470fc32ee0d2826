"""Identifiers of mailbox items in Exchange's manner (fact sheet 1.7, check-list 8).

An id is base64 with the standard alphabet, so it may hold ``/`` and ``+`` and ends in ``=``; it is case-sensitive.
Inside: magic, a kind byte, the mailbox, the item, and the day of an occurrence (0 for the item itself). Hence the id
of any occurrence can be computed and understood without storing it, and an immutable id is the same id with
another kind byte.
"""

import base64
import hashlib
import os

_MAGIC = b"\x00\x03\x24"
_NORMAL = 0x46
_IMMUTABLE = 0x49
_MAILBOX = 40
_ITEM = 41
_LENGTH = len(_MAGIC) + 1 + _MAILBOX + _ITEM + 4
PREFIX = "AAMk"
TEXT_LENGTH = -(-_LENGTH // 3) * 4
"""Characters of every id: so an id whose slashes a client forgot to encode can still be put together."""


def new_item_id(mailbox: str) -> str:
    """Make the id of a new item in *mailbox* (a user's object id)."""
    return _encode(_NORMAL, hashlib.sha512(mailbox.encode()).digest()[:_MAILBOX] + os.urandom(_ITEM), 0)


def occurrence_id(item_id: str, day: int) -> str:
    """Give the id of the occurrence of series *item_id* that the pattern put on *day* (a proleptic ordinal)."""
    raw = base64.b64decode(item_id)
    return _encode(raw[3], raw[4:-4], day)


def is_malformed(text: str) -> bool:
    """Tell whether text cannot be an id of this service, whatever its mailbox."""
    return _raw(text) is None


def split_id(text: str) -> tuple[str, int]:
    """Split any id of ours, immutable or not, into the item's normal id and the day of the occurrence (0: none).

    Text that is no id of ours comes back unchanged with day 0, so that a look-up simply does not find it.
    """
    raw = _raw(text)
    return (_encode(_NORMAL, raw[4:-4], 0), int.from_bytes(raw[-4:], "big")) if raw else (text, 0)


def immutable(item_id: str) -> str:
    """Give the immutable form of an item's id (``Prefer: IdType="ImmutableId"``)."""
    raw = base64.b64decode(item_id)
    return base64.b64encode(raw[:3] + bytes([_IMMUTABLE]) + raw[4:]).decode()


def change_key(item_id: str, version: int) -> str:
    """Give the change key of version *version* of an item; every write has another one (1.6)."""
    seed = item_id[-24:-8].encode() + version.to_bytes(4, "big")
    return base64.b64encode(hashlib.blake2b(seed, digest_size=16).digest()).decode()


def series_uid(item_id: str) -> str:
    """Give the iCalUId of a new item: a global object id, whose bytes 16 to 19 are the day of an occurrence."""
    return "040000008200E00074C5B7101A82E00800000000" + hashlib.sha256(item_id.encode()).hexdigest().upper()[:72]


def occurrence_uid(uid: str, year: int, month: int, day: int) -> str:
    """Give the iCalUId of one occurrence: it differs for each (1.2)."""
    return f"{uid[:32]}{year:04X}{month:02X}{day:02X}{uid[40:]}"


def _raw(text: str) -> bytes | None:
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        return None
    return raw if len(raw) == _LENGTH and raw.startswith(_MAGIC) else None


def _encode(kind: int, middle: bytes, day: int) -> str:
    return base64.b64encode(_MAGIC + bytes([kind]) + middle + day.to_bytes(4, "big")).decode()
