"""The identity's rights: Graph's, given here, and those of Exchange and Teams, for which this prints the commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from permissions import MANAGEMENT_APP_ID, PERMISSIONS, Permission
from report import Line

from mms_core.clouds import CLOUDS

if TYPE_CHECKING:
    from directory import Directory


def permissions_of(cloud: str) -> tuple[Permission, ...]:
    """Return what the service uses in a cloud: one of them has no activity feed."""
    return tuple(each for each in PERMISSIONS if each.api != MANAGEMENT_APP_ID or CLOUDS[cloud].activity)


async def compare(
    directory: Directory, *, principal_id: str, tenant_wide: bool, notices: bool, cloud: str
) -> list[tuple[Line, Any]]:
    """Compare what the identity has with what it should have.

    Returns:
        A line for each permission; with a missing one that can be given, what would give it: resource id and role id.
    """
    wanted = permissions_of(cloud)
    has = {(str(each.resource_id), str(each.app_role_id)) for each in await directory.assignments(principal_id)}
    report: list[tuple[Line, Any]] = []
    known: set[tuple[str, str]] = set()
    for api in dict.fromkeys(each.api for each in wanted):
        resource = await directory.service_principal(api)
        if resource is None:
            missing = [each for each in wanted if each.api == api]
            report += [
                (Line("missing", each.value, f"of {api}, which is not in this tenant"), None) for each in missing
            ]
            continue
        roles = {each.value: each.id for each in resource.app_roles or []}
        for each in (one for one in wanted if one.api == api):
            role = roles.get(each.value)
            if role is None:
                report.append((Line("missing", each.value, f"{resource.display_name} does not offer it here"), None))
                continue
            known.add((str(resource.id), str(role)))
            granted = (str(resource.id), str(role)) in has
            report.append(
                (_judge(each, granted=granted, tenant_wide=tenant_wide, notices=notices), (resource.id, role))
            )
    surplus = sorted(each for each in has - known)
    report += [
        (Line("surplus", role, f"of {resource}: the service does not use it"), None) for resource, role in surplus
    ]
    return report


def _judge(permission: Permission, *, granted: bool, tenant_wide: bool, notices: bool) -> Line:
    if permission.value == "Mail.Send" and not notices and not granted:
        return Line("kept", permission.value, "not needed without a sender of notices")
    if permission.scoped_by == "exchange" and not tenant_wide:
        if granted:
            return Line("surplus", permission.value, "a tenant-wide consent defeats the scope in Exchange: remove it")
        return Line("todo", permission.value, "given for a scope, in Exchange (see below)")
    return Line("kept" if granted else "missing", permission.value, permission.why)


async def grant(directory: Directory, *, principal_id: str, tenant_wide: bool, notices: bool, cloud: str) -> list[Line]:
    """Give what is missing. A second run finds nothing to do."""
    lines = []
    for api in dict.fromkeys(each.api for each in permissions_of(cloud)):
        if await directory.service_principal(api) is None:
            await directory.make_service_principal(api)
            lines.append(Line("made", "service principal", f"of {api}"))
    facts = await compare(directory, principal_id=principal_id, tenant_wide=tenant_wide, notices=notices, cloud=cloud)
    for line, way in facts:
        if way is None or line.what != "missing":
            lines.append(line)
            continue
        resource, role = way
        await directory.assign(principal_id, str(resource), role)
        lines.append(Line("made", line.subject, line.detail))
    return lines


def commands(*, app_id: str, object_id: str, notices: str | None, cloud: str) -> str:
    """Return the PowerShell that no Graph call can replace, with the right ids."""
    exchange = {"usgov": "O365USGovGCCHigh", "usdod": "O365USGovDoD", "china": "O365China"}.get(cloud)
    teams = {"usgov": "TeamsGCCH", "usdod": "TeamsDOD", "china": "TeamsChina"}.get(cloud)
    roles = [each for each in PERMISSIONS if each.exchange_role and each.optional is None]
    lines = [
        "# Exchange Online: calendars of one group's members only. It takes up to two hours to be in force.",
        "Connect-ExchangeOnline" + (f" -ExchangeEnvironmentName {exchange}" if exchange else ""),
        f"New-ServicePrincipal -AppId {app_id} -ObjectId {object_id} -DisplayName 'Meeting migration service'",
        "$group = (Get-Group 'GROUP OF THE ORGANIZERS').DistinguishedName",
        "New-ManagementScope 'Meeting migration' -RecipientRestrictionFilter \"MemberOfGroup -eq '$group'\"",
        *(
            f"New-ManagementRoleAssignment -App {object_id} -Role '{each.exchange_role}' "
            "-CustomResourceScope 'Meeting migration'"
            for each in roles
        ),
    ]
    if notices:
        lines += [
            (
                "New-ManagementScope 'Migration notices' "
                f"-RecipientRestrictionFilter \"PrimarySmtpAddress -eq '{notices.replace(chr(39), chr(39) * 2)}'\""
            ),
            (
                f"New-ManagementRoleAssignment -App {object_id} -Role 'Application Mail.Send' "
                "-CustomResourceScope 'Migration notices'"
            ),
        ]
    lines += [
        f"Test-ServicePrincipalAuthorization -Identity {object_id} -Resource SOMEBODY",
        "",
        "# Teams: online meetings on behalf of people. Takes up to 30 minutes.",
        "Connect-MicrosoftTeams" + (f" -TeamsEnvironmentName {teams}" if teams else ""),
        f"New-CsApplicationAccessPolicy -Identity MeetingMigration -AppIds '{app_id}'",
        "Grant-CsApplicationAccessPolicy -PolicyName MeetingMigration -Global   # or -Identity PERSON, one by one",
    ]
    return "\n".join(lines)
