"""host.json, its defaults, its overrides, and app settings."""

import json
from datetime import timedelta

import pytest

from mms_local.host.appsettings import (
    MissingSettingError,
    QueueConnection,
    load_local_settings,
    queue_connection,
    resolve,
)
from mms_local.host.configuration import (
    ConfigurationError,
    HostConfiguration,
    apply_overrides,
    load_host_configuration,
    parse_host_configuration,
)


def test_defaults_are_the_real_hosts():
    """An empty host.json means 16 + 8 messages, 5 tries, one minute of back-off, no rest after a failure."""
    configuration = parse_host_configuration({"version": "2.0"})
    assert configuration == HostConfiguration()
    queues = configuration.queues
    assert (queues.batch_size, queues.new_batch_threshold, queues.max_dequeue_count) == (16, 8, 5)
    assert (queues.max_polling_interval, queues.visibility_timeout) == (timedelta(minutes=1), timedelta(0))
    assert queues.base64
    assert configuration.http.route_prefix == "api"


def test_the_threshold_follows_the_batch_size():
    """By default a new batch is fetched when half of one still runs."""
    document = {"extensions": {"queues": {"batchSize": 4}}}
    assert parse_host_configuration(document).queues.new_batch_threshold == 2


def test_environment_overrides_the_file(tmp_path):
    """AzureFunctionsJobHost__a__b replaces a.b, whatever the case."""
    document = {"version": "2.0", "extensions": {"queues": {"maxPollingInterval": "00:01:00", "batchSize": 8}}}
    (tmp_path / "host.json").write_text(json.dumps(document))
    environment = {
        "AzureFunctionsJobHost__extensions__queues__maxPollingInterval": "00:00:02",
        "AZUREFUNCTIONSJOBHOST__EXTENSIONS__QUEUES__BATCHSIZE": "2",
        "AzureFunctionsJobHost__extensions__http__routePrefix": "v1",
        "AzureFunctionsJobHost__functionTimeout": "-1",
        "SomethingElse__extensions": "ignored",
    }
    configuration = load_host_configuration(tmp_path, environment)
    assert configuration.queues.max_polling_interval == timedelta(seconds=2)
    assert configuration.queues.batch_size == 2
    assert configuration.http.route_prefix == "v1"
    assert configuration.function_timeout is None


def test_overrides_leave_the_document_alone():
    """They work on a copy."""
    document = {"extensions": {"queues": {"batchSize": 8}}}
    apply_overrides(document, {"AzureFunctionsJobHost__extensions__queues__batchSize": "2"})
    assert document == {"extensions": {"queues": {"batchSize": 8}}}


@pytest.mark.parametrize(
    "queues",
    [
        {"batchSize": 33},
        {"batchSize": 0},
        {"batchSize": "many"},
        {"newBatchThreshold": -1},
        {"maxDequeueCount": 0},
        {"maxPollingInterval": "00:00:00.05"},
        {"maxPollingInterval": "soon"},
        {"visibilityTimeout": "8.00:00:00"},
        {"messageEncoding": "utf16"},
        "all of them",
    ],
)
def test_refuses_queue_options_out_of_range(queues):
    """The real host does not start either."""
    with pytest.raises(ConfigurationError):
        parse_host_configuration({"extensions": {"queues": queues}})


@pytest.mark.parametrize("text", [None, "{", "[]", '{"version": "1.0"}'])
def test_refuses_a_file_that_is_none(tmp_path, text):
    """No file, no JSON, no object, no version."""
    if text is not None:
        (tmp_path / "host.json").write_text(text)
    with pytest.raises(ConfigurationError, match=r"host\.json"):
        load_host_configuration(tmp_path, {})


def test_reads_values_of_local_settings(tmp_path):
    """Only Values count; they are strings."""
    path = tmp_path / "local.settings.json"
    path.write_text('{"IsEncrypted": false, "Values": {"A": "1"}, "Host": {"CORS": "*"}}')
    assert load_local_settings(path) == {"A": "1"}


@pytest.mark.parametrize("text", ["", "[]", '{"Values": {"A": 1}}', '{"Values": []}'])
def test_refuses_local_settings_of_another_shape(tmp_path, text):
    """Core Tools refuse a number, too."""
    path = tmp_path / "settings.json"
    path.write_text(text)
    with pytest.raises(ConfigurationError):
        load_local_settings(path)


def test_resolves_expressions():
    """%NAME% anywhere in the text."""
    assert resolve("a-%X%-%Y%", {"X": "1", "Y": "2"}) == "a-1-2"
    with pytest.raises(MissingSettingError, match="%Z%"):
        resolve("%Z%", {})


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"Store": "text"}, QueueConnection(connection_string="text")),
        ({"AzureWebJobsStore": "text"}, QueueConnection(connection_string="text")),
        ({"Store__queueServiceUri": "https://q"}, QueueConnection(queue_service_url="https://q")),
        ({"Store__accountName": "acc"}, QueueConnection(queue_service_url="https://acc.queue.core.windows.net")),
    ],
)
def test_finds_connections(environment, expected):
    """A connection string under its name or with the prefix, or the identity style."""
    assert queue_connection("Store", environment) == expected


def test_a_connection_without_name_is_the_hosts_own():
    """The default is AzureWebJobsStorage."""
    assert queue_connection("", {"AzureWebJobsStorage": "text"}).connection_string == "text"
    with pytest.raises(MissingSettingError, match="Store"):
        queue_connection("Store", {"AzureWebJobsStorage": "text", "Store": ""})
