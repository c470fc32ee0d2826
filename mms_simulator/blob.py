"""Does a body carry a Teams meeting? Decided here by the links alone (fact sheet 1.4, 3.2), with no parser of HTML.

The service derives ``isOnlineMeeting`` and ``onlineMeeting`` from the join link it finds. A link counts when it names a
meeting of this tenant; any other is text.
"""

import html
import re
from urllib.parse import unquote

_CLASSIC = re.compile(
    r"https://(?:[\w-]+\.)*teams\.microsoft\.(?:com|us)/l/meetup-join/(19(?::|%3a)[^/\s\"'<>]+?(?:@|%40)thread\.(?:v2|tacv2))/",
    re.IGNORECASE,
)
_SHORT = re.compile(
    r"https://(?:[\w-]+\.)*teams\.microsoft\.(?:com|us)/meet/(\d{11,17})(?=[?\"'\s<>&]|$)", re.IGNORECASE
)
_SAFE_LINK = re.compile(
    r"https://[\w.-]+\.safelinks\.protection\.outlook\.com/[^\s\"'<>]*?[?&]url=([^&\s\"'<>]+)", re.IGNORECASE
)
_SKYPE = re.compile(r"OutJoinLink|\[!OC\(\[|rlidLync15|https://meet\.lync\.com/", re.IGNORECASE)
_HINTS = ("meetup-join", "/meet/", "safelinks")


def teams_threads(body: str) -> list[str]:
    """Give the chat threads of all classic Teams links in a body, decoded, in order."""
    return [unquote(match[1]).lower() for match in _CLASSIC.finditer(_readable(body))]


def teams_codes(body: str) -> list[str]:
    """Give the meeting numbers of all short Teams links in a body."""
    return [match[1] for match in _SHORT.finditer(_readable(body))]


def has_skype_block(body: str) -> bool:
    """Tell whether a body carries a Skype for Business block, by its language-independent anchors (4.1)."""
    return bool(_SKYPE.search(body))


def thread_of(url: str) -> str | None:
    """Give the chat thread that a classic join URL names."""
    threads = teams_threads(unquote(url) if "%252" in url or "%2f" in url.lower() else url)
    return threads[0] if threads else None


def _readable(body: str) -> str:
    """Undo what stands between the text and its links: entities, and Safe Links around them."""
    lowered = body.lower()
    if not any(hint in lowered for hint in _HINTS):
        return ""
    text = html.unescape(body)
    return _SAFE_LINK.sub(lambda match: unquote(match[1]), text) if "safelinks" in lowered else text
