"""Delta queries: ``users/delta`` (fact sheet 6.3) and ``calendarView/delta`` (2.4)."""

import base64
import uuid
from typing import Any

import msgspec

from mms_simulator import calendar, directory, ids, listing, views
from mms_simulator.call import Call, Reply, Routes
from mms_simulator.directory import CREATED
from mms_simulator.errors import GraphError, bad_request
from mms_simulator.http_events import home, owner, preferred_size, span
from mms_simulator.http_users import DEFAULT, check_names, project
from mms_simulator.model import Setting, User
from mms_simulator.odata import filters
from mms_simulator.odata.query import DEFAULT_PAGE

_LIFE_SECONDS = 7 * 86_400
_PAGE = 100
_MOST_IDS = 50
_REMEMBERED = 1000
_ROUND = "viewRound "
_REFUSED = frozenset({"$select", "$filter", "$expand", "$orderby", "$search"})
"""2.4: what the delta of a calendarView cannot be asked."""


class Token(msgspec.Struct, array_like=True):
    """What a delta token of users holds; the client sees base64."""

    since: int
    before: int
    """Where the round before began: what a replay goes back to."""
    until: int
    """Where this round ends; below 0 until its first page is read."""
    skip: int
    made: float
    select: str
    filter: str

    def text(self) -> str:
        """Write the token."""
        return base64.urlsafe_b64encode(msgspec.json.encode(self)).decode().rstrip("=")


def register(routes: Routes) -> None:
    """Add the delta routes."""
    routes.add("GET", "users/delta", users_delta)
    routes.add("GET", "users/microsoft.graph.delta", users_delta)
    routes.add("GET", "users/{user}/calendarView/delta", view_delta)
    routes.add("GET", "users/{user}/calendarView/microsoft.graph.delta", view_delta)


def users_delta(call: Call) -> Reply:
    """``GET /users/delta``: changes since a token; a hint, not the truth (6.3)."""
    store, url = call.store, call.url.replace("microsoft.graph.delta", "delta")
    token = _token(call)
    if token.since < 0:  # latest: only the place to go on from
        return Reply(200, {"value": [], "@odata.deltaLink": _link(url, "$deltatoken", _next_round(call, token))})
    since = token.before if store.switches.deltaReplays else token.since
    selected = frozenset(token.select.split(",")) if token.select else None
    rows = [
        user
        for user in store.users.values()
        if since < user.sequence <= token.until and (selected is None or changes(user, since) & {CREATED, *selected})
    ]
    rows.sort(key=lambda user: user.sequence)
    gone = [
        {"id": user_id, "@removed": {"reason": "changed"}}
        for user_id, sequence in (store.settings.get("deletedUsers") or [])
        if since < sequence <= token.until and since > 0
    ]
    wanted = _ids(token.filter)
    names = selected or frozenset(DEFAULT)
    check_names(store, names)
    minimal = "return=minimal" in call.prefer.lower()
    shown: list[dict[str, Any]] = []
    for user in rows:
        if wanted is None or user.id in wanted:
            fresh = changes(user, since) if minimal else {CREATED}
            shown.append(project(directory.graph_user(user), names if CREATED in fresh else names & fresh))
    shown += [row for row in gone if wanted is None or row["id"] in wanted]
    payload: dict[str, Any] = {"@odata.context": f"{store.base}/v1.0/$metadata#users"}
    page = shown[token.skip : token.skip + _PAGE]
    payload["value"] = page
    if token.skip + _PAGE < len(shown):
        token.skip += _PAGE
        payload["@odata.nextLink"] = _link(url, "$skiptoken", token)
    else:
        payload["@odata.deltaLink"] = _link(url, "$deltatoken", _next_round(call, token))
    return Reply(200, payload, {"Preference-Applied": "return=minimal"} if minimal else {})


def changes(user: User, since: int) -> set[str]:
    """Name the properties of a user that have changed since a token, or all at once for one made since (6.3)."""
    return {name for name, sequence in user.changed.items() if sequence > since}


def _token(call: Call) -> Token:
    store, query = call.store, call.query
    text = query.get("$skiptoken") or query.get("$deltatoken")
    now = store.clock.now()
    if not text or text == "latest":
        until = int(store.settings.get("userSequence", 0))
        since = -1 if text else 0
        return Token(since, 0, until, 0, now, query.get("$select", ""), query.get("$filter", ""))
    try:
        token = msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=Token)
    except (ValueError, msgspec.DecodeError) as exc:
        raise bad_request("The delta token is not valid.", "Directory_InvalidDeltaToken") from exc
    if store.switches.deltaGone or now > token.made + _LIFE_SECONDS:
        start = f"{call.url}?$deltatoken="
        raise GraphError(410, "syncStateNotFound", "Please call the API again without a token.", {"Location": start})
    if token.until < 0:
        token.until = int(store.settings.get("userSequence", 0))
    return token


def _next_round(call: Call, token: Token) -> Token:
    before = token.until if token.since < 0 else token.since
    return Token(token.until, before, -1, 0, call.store.clock.now(), token.select, token.filter)


def _link(url: str, name: str, token: Token) -> str:
    return f"{url}?{name}={token.text()}"


def _ids(condition: str) -> set[str] | None:
    """Give the ids a filter names; nothing but ``id eq`` joined by or is allowed (6.3)."""
    if not condition:
        return None
    found = filters.alternatives(filters.parse(condition))
    wanted = {
        str(leaf.value).lower()
        for leaf in found
        if isinstance(leaf, filters.Compare) and (leaf.path, leaf.operator) == ("id", "eq")
    }
    if len(wanted) != len(found) or len(wanted) > _MOST_IDS:
        raise bad_request("The filter of a delta query may only name up to 50 ids.", "Request_UnsupportedQuery")
    return wanted


def view_delta(call: Call) -> Reply:
    """``GET …/calendarView/delta``: primary calendar, window fixed by the token, no query options (2.4)."""
    for name in call.query:
        if name.lower() in _REFUSED:
            raise bad_request(f"{name} is not supported with delta.", "ErrorInvalidUrlQuery")
    user = owner(call)
    text = call.query.get("$deltatoken") or call.query.get("$skiptoken")
    if text:
        known = call.store.settings.get(f"{_ROUND}{text}")
        if known is None:
            raise GraphError(410, "SyncStateNotFound", "The sync state generation is not found.")
        start, end, seen = known
    else:
        (start, end), seen = span(call), {}
    rows = {row.id: row for row in listing.window(call.store, user, home(call, user).id, start, end)}
    etags = {key: calendar.etag(row.store, row.item, row.copy) for key, row in rows.items()}
    fresh = [key for key, etag in etags.items() if seen.get(key) != etag]
    removed = [key for key in seen if key not in rows]
    size = preferred_size(call) or DEFAULT_PAGE
    shown, rest = fresh[:size], fresh[size:]
    kept = {key: etag for key, etag in seen.items() if key in rows} | {key: etags[key] for key in shown}
    payload: dict[str, Any] = {
        "@odata.context": f"{call.store.base}/v1.0/$metadata#Collection(event)",
        "value": [views.render(rows[key], call.options, call.manner) for key in shown],
    }
    if rest:
        payload["@odata.nextLink"] = _view_link(call, "$skiptoken", start, end, {**seen, **kept})
    else:
        named = ids.immutable if call.manner.immutable else str
        payload["value"] += [{"id": named(key), "@removed": {"reason": "deleted"}} for key in removed]
        payload["@odata.deltaLink"] = _view_link(call, "$deltatoken", start, end, kept)
    return Reply(200, payload, views.applied(call.prefer))


def _view_link(call: Call, name: str, start: int, end: int, seen: dict[str, str]) -> str:
    """Keep what a token's holder has seen, so that the next round tells the difference, after a restart too."""
    token = uuid.uuid4().hex
    store = call.store
    store.setting(f"{_ROUND}{token}", [start, end, seen])
    rounds = [key for key in store.settings if key.startswith(_ROUND)]
    for key in rounds[:-_REMEMBERED]:
        store.drop(Setting(id=key, value=None))
    return f"{call.url}?{name}={token}"
