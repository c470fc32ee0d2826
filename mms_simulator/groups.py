"""Groups: who is in which, nested ones included (fact sheet 6; ``GroupMember.Read.All``).

A user names the groups they are in; a group may name the groups that it is in itself. Groups that nobody described are
there as soon as somebody is a member.
"""

import uuid
from typing import Any

from mms_simulator import directory, payloads
from mms_simulator.call import Call, Reply, Routes
from mms_simulator.errors import bad_request, resource_not_found
from mms_simulator.http_users import collection
from mms_simulator.model import User
from mms_simulator.store import Store

_MOST_ASKED = 20
"""checkMemberGroups takes so many ids."""
_SHOWN = ("id", "displayName", "description", "mailEnabled", "mailNickname", "securityEnabled", "groupTypes",
          "createdDateTime")  # fmt: skip


def describe(store: Store, given: dict[str, Any]) -> dict[str, Any]:
    """Make or replace a group from the control surface: ``id``, ``displayName``, ``memberOf`` (ids of groups)."""
    identity = directory.group_ids([given.get("id") or str(uuid.uuid4())])[0]
    known = dict(store.settings.get("groups") or {})
    above = directory.group_ids(given.get("memberOf") or [])
    known[identity] = {"displayName": given.get("displayName") or identity, "memberOf": above}
    store.setting("groups", known)
    return view(store, identity)


def view(store: Store, identity: str) -> dict[str, Any]:
    """Write a security group."""
    described = (store.settings.get("groups") or {}).get(identity) or {}
    return {
        "id": identity,
        "displayName": described.get("displayName") or identity,
        "description": None,
        "mailEnabled": False,
        "mailNickname": identity[:8],
        "securityEnabled": True,
        "groupTypes": [],
        "createdDateTime": "2020-01-01T00:00:00Z",
    }


def groups_of(store: Store, user: User) -> list[str]:
    """Give the ids of all groups a user is in, through other groups as well."""
    described = store.settings.get("groups") or {}
    found: dict[str, None] = {}
    open_ends = list(user.groups)
    while open_ends:
        each = open_ends.pop(0)
        if each not in found:
            found[each] = None
            open_ends += (described.get(each) or {}).get("memberOf") or ()
    return list(found)


def everything(store: Store) -> list[str]:
    """Give the ids of all groups there are."""
    described = store.settings.get("groups") or {}
    used = (each for user in store.users.values() for each in groups_of(store, user))
    return list(dict.fromkeys([*described, *used]))


def register(routes: Routes) -> None:
    """Add the routes of groups and memberships."""
    routes.add("POST", "users/{user}/checkMemberGroups", _check_groups)
    routes.add("POST", "users/{user}/checkMemberObjects", _check_objects)
    routes.add("POST", "users/{user}/getMemberGroups", _get_groups)
    routes.add("POST", "users/{user}/getMemberObjects", _get_groups)
    routes.add("GET", "users/{user}/memberOf", _member_of)
    routes.add("GET", "users/{user}/transitiveMemberOf", _transitive_member_of)
    routes.add("GET", "groups", _list)
    routes.add("GET", "groups/{group}", _get)
    routes.add("GET", "groups/{group}/members", _members)
    routes.add("GET", "groups/{group}/transitiveMembers", _transitive_members)


def _strings(call: Call, values: list[str]) -> Reply:
    return Reply(200, {"@odata.context": f"{call.store.base}/v1.0/$metadata#Collection(Edm.String)", "value": values})


def _check_groups(call: Call) -> Reply:
    """``POST …/checkMemberGroups``: those of up to twenty groups that the user is in, nested or not."""
    return _checked(call, call.read(payloads.CheckGroups).get("groupIds"), "groupIds")


def _check_objects(call: Call) -> Reply:
    """``POST …/checkMemberObjects``: the same for any directory objects; only groups have members here."""
    return _checked(call, call.read(payloads.CheckGroups).get("ids"), "ids")


def _checked(call: Call, asked: list[str] | None, name: str) -> Reply:
    user = call.store.user(call.arguments["user"])
    if asked is None:
        raise bad_request(f"A value must be provided for the parameter '{name}'.", "Request_BadRequest")
    if len(asked) > _MOST_ASKED:
        raise bad_request(f"The collection '{name}' has more than {_MOST_ASKED} items.", "Request_BadRequest")
    wanted = directory.group_ids(asked)
    held = set(groups_of(call.store, user))
    return _strings(call, [each for each in dict.fromkeys(wanted) if each in held])


def _get_groups(call: Call) -> Reply:
    """``POST …/getMemberGroups``: all ids; ours are security groups, so ``securityEnabledOnly`` changes nothing."""
    user, given = call.store.user(call.arguments["user"]), call.read(payloads.CheckGroups)
    if given.get("securityEnabledOnly") is None:
        raise bad_request("A value must be provided for the parameter 'securityEnabledOnly'.", "Request_BadRequest")
    return _strings(call, groups_of(call.store, user))


def _objects(call: Call, found: list[str]) -> Reply:
    rows = [{"@odata.type": "#microsoft.graph.group", **view(call.store, each)} for each in found]
    return collection(call, rows, ("@odata.type", *_SHOWN), "directoryObjects")


def _member_of(call: Call) -> Reply:
    return _objects(call, call.store.user(call.arguments["user"]).groups)


def _transitive_member_of(call: Call) -> Reply:
    return _objects(call, groups_of(call.store, call.store.user(call.arguments["user"])))


def _list(call: Call) -> Reply:
    rows = [view(call.store, each) for each in everything(call.store)]
    return collection(call, rows, _SHOWN, "groups")


def _found(call: Call) -> str:
    identity = call.arguments["group"].lower()
    if identity not in everything(call.store):
        raise resource_not_found(call.arguments["group"])
    return identity


def _get(call: Call) -> Reply:
    return Reply(200, view(call.store, _found(call)))


def _people(call: Call, users: list[User]) -> Reply:
    rows = [{"@odata.type": "#microsoft.graph.user", **directory.graph_user(user)} for user in users]
    return collection(call, rows, ("@odata.type", "id", "displayName", "mail", "userPrincipalName"), "directoryObjects")


def _members(call: Call) -> Reply:
    identity = _found(call)
    return _people(call, [user for user in call.store.users.values() if identity in user.groups])


def _transitive_members(call: Call) -> Reply:
    store, identity = call.store, _found(call)
    return _people(call, [user for user in store.users.values() if identity in groups_of(store, user)])
