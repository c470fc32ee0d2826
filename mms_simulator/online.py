"""How an event becomes, stays and stops being an online meeting (fact sheet 1.4, 3.3, 5.2)."""

import hashlib
import uuid
from html import escape
from typing import Any

from mms_simulator import invitation, meetings
from mms_simulator.blob import has_skype_block
from mms_simulator.content import wrapped
from mms_simulator.errors import bad_request
from mms_simulator.model import Item, OnlineMeeting, User
from mms_simulator.payloads import truth
from mms_simulator.store import Store
from mms_simulator.switches import Switches
from mms_simulator.wording import wording

UNKNOWN, SKYPE, TEAMS = "unknown", "skypeForBusiness", "teamsForBusiness"
_CONF_LINK = meetings.property_id("OnlineMeetingConfLink")
_EXTERNAL_LINK = meetings.property_id("OnlineMeetingExternalLink")


def skype_link(item: Item) -> str | None:
    """Give the join link of a Skype event that its named properties prove (3.1); a Teams event is none."""
    if item.meeting:
        return None
    if item.skype_url:
        return item.skype_url
    conf = item.properties.get(_CONF_LINK)
    if not conf or "focus:id:teams" in conf:
        return None
    return item.properties.get(_EXTERNAL_LINK) or None


def provider_of(item: Item, switches: Switches) -> str:
    """Give onlineMeetingProvider as Graph shows it, by the representation of Skype events (3.3)."""
    if item.provider == UNKNOWN and switches.skypeRepresentation == "provider" and skype_link(item):
        return SKYPE
    return item.provider


def is_online(item: Item, switches: Switches) -> bool:
    """Give isOnlineMeeting as Graph shows it."""
    return item.online or (switches.skypeRepresentation == "provider" and skype_link(item) is not None)


def settle(store: Store, user: User, old: Item | None, new: Item, payload: dict[str, Any]) -> None:
    """Decide the online state of *new* after a write with *payload*; may append the service's own block.

    Raises:
        GraphError: 400 in the position that refuses another provider.
    """
    wants, provider = _flags(store, old, payload)
    if "body" in payload or old is None:
        meeting = meetings.in_body(store, new.body)
        if meeting:
            _link(store, new, meeting)
            return
        if old is not None and old.online and old.meeting:
            _drop(new)
            if wants and store.switches.blobMode == "reappend":
                append(store, user, new)
            return
    if wants and not new.online and not _ignored_after_drop(store, new):
        _turn_on(store, user, new, provider)


def append(store: Store, user: User, item: Item) -> None:
    """Make a Teams meeting for an event and put the service's block at the end of its body (1.4)."""
    meeting = meetings.create(store, user, subject=item.subject, start=item.start, end=item.end)
    block = invitation.balanced(meetings.block_of(store, meeting, user, user.language))
    item.body, item.body_type = invitation.insert(_as_html(item), block), "html"
    item.properties = {**item.properties, **meetings.event_properties(store, meeting, user)}
    item.online, item.meeting, item.provider = True, meeting.id, TEAMS
    item.online_since = store.clock.now()


def follow(store: Store, item: Item, changed: set[str]) -> None:
    """Keep the online meeting's subject and time in step with its event (5.2)."""
    if not item.meeting or item.master or not changed & {"subject", "start", "end", "meeting"}:
        return
    meeting = store.meetings.get(item.meeting)
    if meeting and meeting.organizer == item.mailbox:
        meetings.update(store, meeting, subject=item.subject, start=float(item.start), end=float(item.end))


def _flags(store: Store, old: Item | None, payload: dict[str, Any]) -> tuple[bool, str]:
    """Read the two flags as far as they may still be set (1.2)."""
    wants, provider = truth(payload.get("isOnlineMeeting")), payload.get("onlineMeetingProvider")
    if provider not in {None, UNKNOWN, SKYPE, TEAMS, "skypeForConsumer"}:
        raise bad_request(f"Requested value '{provider}' was not found.", "RequestBodyRead")
    current = provider_of(old, store.switches) if old else UNKNOWN
    online = old is not None and is_online(old, store.switches)
    forbidden = (provider not in {None, UNKNOWN, current} and current != UNKNOWN) or (wants is False and online)
    if forbidden:
        if store.switches.providerChange == "refuse":
            raise bad_request("The online meeting provider of the event can't be changed.", "ErrorInvalidRequest")
        return False, current
    return wants is True, str(provider or UNKNOWN) if current == UNKNOWN else current


def _ignored_after_drop(store: Store, item: Item) -> bool:
    """Tell whether an event whose block was lost no longer heeds the flags (1.2: further changes are ignored)."""
    return item.was_online and store.switches.blobMode == "drop"


def _link(store: Store, item: Item, meeting: OnlineMeeting) -> None:
    """Let an event follow the Teams link in its body; the provider only if it had none (1.2, 3.3)."""
    if provider_of(item, store.switches) == UNKNOWN or store.switches.providerFollowsBlob:
        item.provider = TEAMS
    elif item.provider == UNKNOWN:
        item.provider = SKYPE
    if item.meeting != meeting.id:
        item.online_since = store.clock.now()
    item.online, item.meeting = True, meeting.id


def _drop(item: Item) -> None:
    item.online, item.meeting, item.was_online = False, None, True


def _turn_on(store: Store, user: User, item: Item, provider: str) -> None:
    """Obey the flags: as far as the mailbox allows the provider; otherwise the event quietly stays offline (1.2)."""
    chosen = provider if provider in user.providers else user.providers[0] if user.providers else UNKNOWN
    if provider == SKYPE and chosen != SKYPE:
        return
    if chosen == TEAMS:
        append(store, user, item)
    elif chosen == SKYPE:
        _make_skype(user, item)


def _make_skype(user: User, item: Item) -> None:
    link = item.properties.get(_EXTERNAL_LINK)
    if not link:
        name, _, domain = user.sip.removeprefix("sip:").partition("@")
        code = hashlib.sha256(item.id.encode()).hexdigest()[:8].upper()
        link = f"https://meet.lync.com/{domain.split('.')[0]}/{name}/{code}"
        item.properties = {
            **item.properties,
            _CONF_LINK: f"conf:sip:{name}@{domain};gruu;opaque=app:conf:focus:id:{code}",
            _EXTERNAL_LINK: link,
            **_skype_properties(link, code),
        }
    if not has_skype_block(item.body):
        body = _as_html(item)
        item.body = invitation.insert(body, invitation.skype_fragment(link, wording(user.language), None))
        item.body_type = "html"
    item.online, item.provider, item.skype_url = True, SKYPE, link


def _skype_properties(link: str, code: str) -> dict[str, str]:
    """Give what Skype for Business leaves on an event besides its links (3.1); what the texts hold is our own."""
    setting = f'<OnlineMeeting Id="{code}"><AccessLevel>Everyone</AccessLevel></OnlineMeeting>'
    values = {
        "OnlineMeetingInternalLink": link,
        "UCCapabilities": '<Capabilities><Capability Name="OnlineMeeting"/></Capabilities>',
        "UCInband": f'<InbandData Id="{code}"/>',
        "UCMeetingSetting": setting,
        "UCMeetingSettingSent": setting,
        "UCOpenedConferenceID": str(uuid.uuid5(uuid.NAMESPACE_URL, link)),
    }
    return {meetings.property_id(name): value for name, value in values.items()}


def _as_html(item: Item) -> str:
    if item.body_type == "html":
        return item.body or wrapped("")
    return text_as_html(item.body)


def text_as_html(text: str) -> str:
    """Show a text body as the HTML that Graph returns for it (1.2)."""
    lines = escape(text, quote=False).replace("\r\n", "\n").replace("\n", "<br>\r\n")
    return wrapped(f'<div class="PlainText">{lines}</div>')
