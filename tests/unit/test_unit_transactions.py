"""Transactions written by hand say what the SDK's say, and answers are read as the service writes them."""

from __future__ import annotations

import email
import json

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError
from azure.data.tables import TableTransactionError, UpdateMode
from azure.data.tables.aio import TableClient

from mms_core.adapters.tables.transactions import answers, encoded

CONNECTION = (
    "DefaultEndpointsProtocol=https;AccountName=mms;AccountKey=AAAA;TableEndpoint=https://mms.table.core.windows.net"
)
URL = "https://mms.table.core.windows.net/MmsUsers"
FENCED = {"mode": UpdateMode.REPLACE, "etag": "W/\"datetime'x'\"", "match_condition": MatchConditions.IfNotModified}
ROW = {"PartitionKey": "s01", "RowKey": "u|o'brien %20/ü", "Text": 'a\r\nb " 👋', "Count": 3, "Data": b"\x00\xff"}
OPERATIONS = [
    ("create", ROW),
    ("upsert", {**ROW, "RowKey": "t|1"}, {"mode": UpdateMode.REPLACE}),
    ("update", {**ROW, "RowKey": "c|users"}, FENCED),
    ("delete", {"PartitionKey": "s01", "RowKey": "w|1"}),
    ("delete", {"PartitionKey": "s01", "RowKey": "u|2"}, {key: FENCED[key] for key in ("etag", "match_condition")}),
]


class Stop(Exception):
    """Enough seen."""


def _read(media_type, content):
    """Return each operation of a transaction: method, address, the headers that matter, the row."""
    whole = email.message_from_bytes(b"Content-Type: " + media_type.encode() + b"\r\n\r\n" + content)
    (changes,) = whole.get_payload()
    found = []
    for part in changes.get_payload():
        assert part.get_content_type() == "application/http"
        assert part["Content-Transfer-Encoding"] == "binary"
        line, _, rest = part.get_payload(decode=True).partition(b"\r\n")
        method, url, version = line.decode().split(" ")
        assert version == "HTTP/1.1"
        inner = email.message_from_bytes(rest)
        body = inner.get_payload(decode=True).strip()
        row = {name: value for name, value in json.loads(body or "{}").items() if value != "Edm.String"}
        found.append((method, url, inner["If-Match"], inner["Content-Type"], inner["DataServiceVersion"], row))
    return found


async def _of_sdk(operations):
    """What the SDK would send."""
    seen = []

    def hook(request):
        seen.append((request.http_request.headers["Content-Type"], request.http_request.content))
        raise Stop

    async with TableClient.from_connection_string(CONNECTION, "MmsUsers") as client:
        with pytest.raises(Stop):
            await client.submit_transaction(operations, raw_request_hook=hook)
    return seen[0]


async def test_a_transaction_says_what_the_sdk_says():
    """Method, address, fence and row of every operation, in order."""
    ours = _read(*encoded(URL, OPERATIONS, name="x"))
    assert ours == _read(*await _of_sdk(OPERATIONS))
    assert len(ours) == len(OPERATIONS)


@pytest.mark.parametrize("value", [2**31, -(2**31) - 1, 1.5, True, None, ["x"]])
def test_a_property_of_a_kind_that_no_row_has_is_refused(value):
    """A number that does not fit, or another type, would be stored as something else."""
    with pytest.raises(TypeError, match="property Odd"):
        encoded(URL, [("create", {**ROW, "Odd": value})], name="x")


def test_a_text_with_a_lone_surrogate_survives():
    """Outlook cuts emojis in half; JSON's escapes carry the half."""
    _, content = encoded(URL, [("create", {**ROW, "Text": "\ud83d"})], name="x")
    assert b'"\\ud83d"' in content


def _answer(*parts):
    """An answer to a transaction as the service writes it."""
    head = "--batchresponse_1\r\nContent-Type: multipart/mixed; boundary=changesetresponse_1\r\n\r\n"
    each = "--changesetresponse_1\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    return head + "".join(f"{each}{part}\r\n" for part in parts) + "--changesetresponse_1--\r\n--batchresponse_1--\r\n"


def test_new_etags_are_read_in_order():
    """A delete has none; header names come in any case."""
    text = _answer(
        "HTTP/1.1 204 No Content\r\nX-Content-Type-Options: nosniff\r\nETag: W/\"datetime'1'\"\r\n\r\n",
        "HTTP/1.1 204 No Content\r\nDataServiceVersion: 1.0;\r\n\r\n",
        "HTTP/1.1 201 Created\r\netag: W/\"datetime'3'\"\r\n\r\n",
    )
    assert [each["etag"] for each in answers(text)] == ["W/\"datetime'1'\"", None, "W/\"datetime'3'\""]


def test_one_failure_is_the_answer_for_all():
    """Its status and the service's code are kept, the foreign text is not."""
    body = '{"odata.error":{"code":"UpdateConditionNotSatisfied","message":{"lang":"en-US","value":"1:secret"}}}'
    text = _answer(f"HTTP/1.1 412 Precondition Failed\r\nContent-Type: application/json\r\n\r\n{body}")
    with pytest.raises(TableTransactionError) as caught:
        answers(text)
    assert isinstance(caught.value, HttpResponseError)
    assert (caught.value.status_code, caught.value.error_code) == (412, "UpdateConditionNotSatisfied")
    assert "secret" not in str(caught.value)
