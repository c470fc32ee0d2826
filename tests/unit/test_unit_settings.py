"""Settings: the deployment's from the environment, the tenant's by PATCH."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta

import pytest

from mms_core.clouds import CLOUDS
from mms_core.errors import BadInput
from mms_core.settings import TenantSettings, from_environment

LEAST = {"MMS_TENANT_ID": "tenant", "MMS_API_AUDIENCE": "api://mms"}


def test_two_settings_are_enough_for_a_deployment():
    """Everything else has the value of a real tenant."""
    deployment = from_environment(LEAST)
    assert deployment.token_issuer == "https://login.microsoftonline.com/tenant/v2.0"
    assert deployment.token_keys_url == "https://login.microsoftonline.com/tenant/discovery/v2.0/keys"
    assert (deployment.graph_url, deployment.graph_scope) == (
        "https://graph.microsoft.com/v1.0",
        "https://graph.microsoft.com/.default",
    )
    assert deployment.activity_url == "https://manage.office.com/api/v1.0/tenant/activity/feed"
    assert (deployment.trigger_queue, deployment.run_queue, deployment.table_prefix) == (
        "mms-triggers",
        "mms-runs",
        "Mms",
    )
    assert deployment.settle is None
    assert deployment.storage_connection is None
    assert deployment.client_id is None
    assert timedelta(0) < deployment.run_lease <= timedelta(seconds=60)
    assert (deployment.function_budget, deployment.first_retry) == (timedelta(minutes=25), timedelta(seconds=169))


@pytest.mark.parametrize("name", sorted(CLOUDS))
def test_a_cloud_decides_every_address_together(name):
    """No token of one cloud is asked for, or sent to, another; only the public two share sign-in and Graph."""
    deployment = from_environment({**LEAST, "MMS_CLOUD": name})
    cloud = CLOUDS[name]
    assert deployment.graph_url.startswith(cloud.graph + "/")
    assert deployment.graph_scope == cloud.graph + "/.default"
    assert deployment.token_issuer.startswith(cloud.login + "/")
    assert deployment.token_keys_url.startswith(cloud.login + "/")
    if cloud.activity:
        assert deployment.activity_url.startswith(cloud.activity + "/")
        assert deployment.activity_scope == cloud.activity + "/.default"
    else:
        assert deployment.activity_url == ""


def test_an_unknown_cloud_is_refused_by_name():
    """A misspelt cloud must not become the public one."""
    with pytest.raises(BadInput) as caught:
        from_environment({**LEAST, "MMS_CLOUD": "usgovernment"})
    assert caught.value.field == "MMS_CLOUD"


@pytest.mark.parametrize("missing", LEAST)
@pytest.mark.parametrize("how", ["absent", "empty"])
def test_a_missing_setting_is_named(missing, how):
    """An administrator must not have to guess."""
    values = {name: value for name, value in LEAST.items() if name != missing}
    if how == "empty":
        values[missing] = ""
    with pytest.raises(BadInput, match=missing) as caught:
        from_environment(values)
    assert caught.value.field == missing


def test_empty_values_mean_the_default():
    """local.settings.example.json lists every name with an empty value where there is nothing to say."""
    names = (
        "MMS_ACTIVITY_URL",
        "MMS_TOKEN_ISSUER",
        "MMS_TOKEN_KEYS_URL",
        "MMS_IDENTITY_CLIENT_ID",
        "MMS_SETTLE_SECONDS",
    )
    assert from_environment({**LEAST, **dict.fromkeys(names, "")}) == from_environment(LEAST)


def test_every_value_is_taken_from_its_own_name():
    """Trailing slashes of addresses do not matter."""
    deployment = from_environment(
        {
            **LEAST,
            "AzureWebJobsStorage": "connection",
            "AzureWebJobsStorage__queueServiceUri": "https://q",
            "AzureWebJobsStorage__tableServiceUri": "https://t",
            "MMS_TRIGGER_QUEUE": "tq",
            "MMS_RUN_QUEUE": "rq",
            "MMS_TABLE_PREFIX": "P",
            "MMS_LOGIN_URL": "https://login.example/",
            "MMS_GRAPH_URL": "https://graph.example/v1.0/",
            "MMS_PUBLIC_URL": "https://app.example/",
            "MMS_CLIENT_STATE": "state",
            "MMS_ACTIVITY_AUTH_ID": "auth",
            "MMS_SETTLE_SECONDS": "2.5",
            "MMS_RUN_LEASE_SECONDS": "6",
            "MMS_FUNCTION_BUDGET_SECONDS": "10",
            "MMS_FIRST_RETRY_SECONDS": "1",
            "MMS_IDENTITY_CLIENT_ID": "id",
        }
    )
    assert deployment.storage_connection == "connection"
    assert (deployment.queue_service_uri, deployment.table_service_uri) == ("https://q", "https://t")
    assert (deployment.trigger_queue, deployment.run_queue, deployment.table_prefix) == ("tq", "rq", "P")
    assert deployment.token_issuer == "https://login.example/tenant/v2.0"
    assert (deployment.graph_url, deployment.public_url) == ("https://graph.example/v1.0", "https://app.example")
    assert (deployment.client_state, deployment.activity_auth_id, deployment.client_id) == ("state", "auth", "id")
    assert deployment.settle == timedelta(seconds=2.5)
    assert (deployment.run_lease, deployment.function_budget, deployment.first_retry) == (
        timedelta(seconds=6),
        timedelta(seconds=10),
        timedelta(seconds=1),
    )


@pytest.mark.parametrize(
    "name",
    ["MMS_SETTLE_SECONDS", "MMS_RUN_LEASE_SECONDS", "MMS_FUNCTION_BUDGET_SECONDS", "MMS_FIRST_RETRY_SECONDS"],
)
@pytest.mark.parametrize("value", ["ninety", "1e400", "nan", "00:01:00"])
def test_a_duration_that_is_no_number_is_named(name, value):
    """Seconds, nothing else."""
    with pytest.raises(BadInput) as caught:
        from_environment({**LEAST, name: value})
    assert caught.value.field == name


@pytest.mark.parametrize("name", ["MMS_CLIENT_STATE", "MMS_ACTIVITY_AUTH_ID", "MMS_WEBHOOK_KEYS"])
def test_a_reference_that_azure_could_not_resolve_is_no_secret(name):
    """Everybody who knows the app's address can guess it, since the vault is named alike; a missing secret proves nothing."""
    reference = f"@Microsoft.KeyVault(SecretUri=https://kv-mms-abc.vault.azure.net/secrets/{name}/)"
    deployment = from_environment({**LEAST, name: reference})
    assert (deployment.client_state, deployment.activity_auth_id, deployment.webhook_keys) == ("", "", "")


# -- the tenant's settings ----------------------------------------------------------------------------------------------


def test_the_defaults_are_those_of_the_cmdlets():
    """Pinned: a changed default is a changed product."""
    assert (
        asdict(TenantSettings()).items()
        >= {
            "MeetingMigrationEnabled": True,
            "AutomaticallyMigrateUserMeetings": True,
            "AutomaticallyReplaceAcpProvider": False,
            "AutomaticallySendEmailsToUsers": True,
            "SettleMinutes": 90,
            "MaximumWaitMinutes": 360,
            "MaximumAttendees": 250,
            "MoveWithoutMoveToTeams": "Teams",
        }.items()
    )


def test_a_change_gives_a_new_value_and_leaves_the_rest():
    """The old one is as it was."""
    before = TenantSettings()
    after = before.changed({"SettleMinutes": 0, "MeetingMigrationEnabled": False})
    assert (after.SettleMinutes, after.MeetingMigrationEnabled, after.MaximumAttendees) == (0, False, 250)
    assert before == TenantSettings()
    assert before.changed({}) == before


@pytest.mark.parametrize("name", ["Invented", "settleMinutes", "check", "__class__", ""])
def test_an_unknown_setting_is_refused_by_name(name):
    """Methods and attributes are not settings."""
    with pytest.raises(BadInput) as caught:
        TenantSettings().changed({"SettleMinutes": 5, name: 1})
    assert (caught.value.code, caught.value.field) == ("UnknownSetting", name)


@pytest.mark.parametrize(
    "field",
    [
        "MeetingMigrationEnabled",
        "AutomaticallyMigrateUserMeetings",
        "AutomaticallyReplaceAcpProvider",
        "AutomaticallySendEmailsToUsers",
        "SettleMinutes",
        "MaximumWaitMinutes",
        "MaximumAttendees",
        "MoveWithoutMoveToTeams",
    ],
)
@pytest.mark.parametrize("value", [None, [], {}, 1.5, "true"])
def test_a_value_of_the_wrong_type_is_refused_by_name(field, value):
    """No guessing: "true" is not true, and true is not 1."""
    if field == "MoveWithoutMoveToTeams" and isinstance(value, str):
        value = True
    with pytest.raises(BadInput) as caught:
        TenantSettings().changed({field: value})
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("SettleMinutes", (0, 10_080), (-1, 10_081, True)),
        ("MaximumWaitMinutes", (0, 10_080), (-1, 10_081)),
        ("MaximumAttendees", (1, 500), (0, 501, False)),
        ("MoveWithoutMoveToTeams", ("Teams", "Current"), ("teams", "SfB", "")),
    ],
)
def test_ranges_include_their_ends(name, good, bad):
    """One beyond is refused by name."""
    for value in good:
        assert getattr(TenantSettings().changed({name: value}), name) == value
    for value in bad:
        with pytest.raises(BadInput) as caught:
            TenantSettings().changed({name: value})
        assert caught.value.field == name
