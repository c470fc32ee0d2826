"""Service plans and SKUs that decide something here (fact sheet 6.2)."""

from typing import Any

AUDIO_CONFERENCING = "3e26ee1f-8a5f-4d52-aee2-b81ce45c8f40"
AUDIO_CONFERENCING_PER_MINUTE = "bb038288-76ab-49d6-afc1-eaa6c222c65a"
TEAMS = "57ff2da0-773e-42df-b2af-ffb7a2317929"
EXCHANGE = "efb87545-963c-4e0d-99df-69c6916d9eb0"
SKYPE = "0feaeb32-d00e-4d66-bd5a-43b5b83db82c"
PHONE_SYSTEM = "4828c8ec-dc2e-4779-b502-87ac9ce28ab7"
DIAL_IN_PLANS = frozenset({AUDIO_CONFERENCING, AUDIO_CONFERENCING_PER_MINUTE})
BASE_SKU = "05e9a617-0261-4cee-bb44-138d3ef5d965"
LICENSED = frozenset({"Enabled", "Warning"})
"""Capability states that count as licensed (6.1)."""

NAMES: dict[str, tuple[str, str]] = {
    AUDIO_CONFERENCING: ("MCOMEETADV", "MicrosoftCommunicationsOnline"),
    AUDIO_CONFERENCING_PER_MINUTE: ("MCOMEETACPEA", "MicrosoftCommunicationsOnline"),
    "9974d6cf-cd24-4ba2-921c-e2aa687da846": ("MCOMEETBASIC", "MicrosoftCommunicationsOnline"),
    TEAMS: ("TEAMS1", "TeamspaceAPI"),
    EXCHANGE: ("EXCHANGE_S_ENTERPRISE", "exchange"),
    SKYPE: ("MCOSTANDARD", "MicrosoftCommunicationsOnline"),
    PHONE_SYSTEM: ("MCOEV", "MicrosoftCommunicationsOnline"),
}
SKU_OF_PLAN: dict[str, tuple[str, str]] = {
    AUDIO_CONFERENCING: ("0c266dff-15dd-4b49-8397-2bb16070ed52", "MCOMEETADV"),
    AUDIO_CONFERENCING_PER_MINUTE: ("df9561a4-4969-4e6a-8e73-c601b68ec077", "MCOMEETACPEA"),
    "9974d6cf-cd24-4ba2-921c-e2aa687da846": ("1c27243e-fb4d-42b1-ae8c-fe25c9616588", "MCOMEETBASIC"),
}


_PLANS_OF_SKU: dict[str, tuple[str, ...]] = {
    BASE_SKU: (EXCHANGE, TEAMS),
    **{sku: (plan,) for plan, (sku, _) in SKU_OF_PLAN.items()},
    "c2cda955-3359-44e5-989f-852ca0cfa02f": (AUDIO_CONFERENCING,),  # for faculty
    "2d3091c7-0712-488b-b3d8-6b97bde6a1f5": (AUDIO_CONFERENCING,),  # for the government cloud
}


def assigned_plan(plan_id: str, at: str, status: str = "Enabled") -> dict[str, Any]:
    """Write an entry of assignedPlans."""
    service = NAMES.get(plan_id.lower(), ("", "MicrosoftCommunicationsOnline"))[1]
    return {
        "assignedDateTime": at,
        "capabilityStatus": status,
        "service": service,
        "servicePlanId": plan_id.lower(),
    }


def sku_of(plan_id: str) -> str:
    """Give the SKU that stands for a plan in assignedLicenses; plans we do not know stand for themselves."""
    return SKU_OF_PLAN.get(plan_id.lower(), (plan_id.lower(), ""))[0]


def plans_of(sku: str) -> tuple[str, ...]:
    """Give the plans that a SKU brings; SKUs we do not know stand for themselves."""
    return _PLANS_OF_SKU.get(sku.lower(), (sku.lower(),))


def has_teams(plans: list[dict[str, Any]]) -> bool:
    """Tell whether assignedPlans license Teams."""
    return any(plan["servicePlanId"] == TEAMS and plan["capabilityStatus"] in LICENSED for plan in plans)


def has_dial_in(plans: list[dict[str, Any]]) -> bool:
    """Tell whether assignedPlans license audio conferencing."""
    return any(plan["servicePlanId"] in DIAL_IN_PLANS and plan["capabilityStatus"] in LICENSED for plan in plans)
