"""Entity group transactions, written by hand.

The SDK builds each operation of a transaction as an e-mail message and parses the answer as one: 1.6 ms of processor
time an operation, more than half of all that a run without meetings costs. This client writes the same request as text
(a test compares the two) and sends it through the SDK's own pipeline: authentication, retries and errors stay its.
Source: "Performing entity group transactions", Table Storage REST API.
"""

from __future__ import annotations

import base64
import json
import re
import uuid
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from azure.core.exceptions import HttpResponseError
from azure.core.rest import HttpRequest
from azure.data.tables import TableTransactionError
from azure.data.tables.aio import TableClient

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_ACCEPTED: Final = 202
_FIRST_ERROR: Final = 300
_INT32: Final = 2**31
_ANSWER: Final = re.compile(r"^HTTP/1\.1 (\d{3})", re.MULTILINE)
_ETAG: Final = re.compile(r"^etag:[ \t]*(\S.*?)[ \t]*\r?$", re.MULTILINE | re.IGNORECASE)


def _properties(entity: Mapping[str, Any]) -> bytes:
    """Return an entity as the service reads it: text, whole numbers of 32 bits, and bytes."""
    values: dict[str, Any] = {}
    for name, value in entity.items():
        if isinstance(value, bytes):
            values[f"{name}@odata.type"] = "Edm.Binary"
            values[name] = base64.b64encode(value).decode("ascii")
        elif isinstance(value, str):
            values[name] = str(value)
        elif isinstance(value, int) and not isinstance(value, bool) and -_INT32 <= value < _INT32:
            values[name] = value
        else:
            raise TypeError(f"property {name} is a {type(value).__name__} that no row of ours holds")
    # ASCII with escapes, as the SDK sends it: Azurite counts characters where it should count bytes.
    return json.dumps(values, separators=(",", ":")).encode("ascii")


def _operation(table_url: str, kind: str, entity: Mapping[str, Any], options: Mapping[str, Any]) -> bytes:
    partition, row = (quote(str(entity[name]).replace("'", "''"), safe="") for name in ("PartitionKey", "RowKey"))
    row_url = f"{table_url}(PartitionKey='{partition}',RowKey='{row}')"
    lines = [{"create": f"POST {table_url}", "delete": f"DELETE {row_url}"}.get(kind, f"PUT {row_url}") + " HTTP/1.1"]
    content = b"" if kind == "delete" else _properties(entity)
    if content:
        lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
    lines += ["DataServiceVersion: 3.0", "Accept: application/json;odata=minimalmetadata"]
    if kind in ("update", "delete"):
        lines.append(f"If-Match: {options.get('etag') or '*'}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


def encoded(table_url: str, operations: Iterable[tuple[Any, ...]], *, name: str) -> tuple[str, bytes]:
    """Return the media type and the content of a transaction.

    Args:
        table_url: Of the table.
        operations: As the SDK takes them: what (create, upsert, update or delete), a row, options (``etag``). Rows are
            always replaced, never merged.
        name: What makes the boundaries unique.
    """
    changes, batch = f"changeset_{name}", f"batch_{name}"
    head = f"\r\n--{changes}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n".encode()
    parts = [head + _operation(table_url, kind, entity, more[0] if more else {}) for kind, entity, *more in operations]
    opening = f"--{batch}\r\nContent-Type: multipart/mixed; boundary={changes}\r\n"
    closing = f"\r\n--{changes}--\r\n\r\n--{batch}--\r\n"
    return f"multipart/mixed; boundary={batch}", b"".join((opening.encode(), *parts, closing.encode()))


def answers(text: str) -> list[dict[str, Any]]:
    """Return the new ETag of each row (``None`` of one that was deleted).

    Raises:
        TableTransactionError: An operation failed, so none was carried out; ``status_code`` and ``error_code`` say why.
    """
    found = list(_ANSWER.finditer(text))
    ends = [each.start() for each in found[1:]] + [len(text)]
    results: list[dict[str, Any]] = []
    for each, end in zip(found, ends, strict=True):
        status, part = int(each[1]), text[each.start() : end]
        if status >= _FIRST_ERROR:
            raise _failure(status, part)
        etag = _ETAG.search(part)
        results.append({"etag": etag[1] if etag else None})
    return results


def _failure(status: int, part: str) -> TableTransactionError:
    code = re.search(r'"code"\s*:\s*"(\w+)"', part)
    error = TableTransactionError(message=f"{status} {code[1] if code else ''}".strip())
    error.status_code = status
    error.error_code = code[1] if code else None  # type: ignore[attr-defined]  # as the SDK sets it
    return error


class QuickTableClient(TableClient):
    """The SDK's client, but for the way in which transactions are written and read."""

    async def submit_transaction(self, operations: Any, **kwargs: Any) -> list[Any]:
        """Carry out all operations or none; takes what the SDK's method takes, but for ``mode``: rows are replaced.

        Returns:
            ``{"etag"}`` for each operation, in order.

        Raises:
            TableTransactionError: One of them failed.
            HttpResponseError: The transaction as a whole was refused.
        """
        base, mark, signature = self.url.partition("?")  # a shared access signature, where the account uses one
        media_type, content = encoded(f"{base}/{self.table_name}", operations, name=str(uuid.uuid4()))
        request = HttpRequest(
            "POST",
            f"{base}/$batch{mark}{signature}",
            headers={
                "x-ms-version": self.api_version,
                "DataServiceVersion": "3.0",
                "MaxDataServiceVersion": "3.0;NetFx",
                "Content-Type": media_type,
                "Accept": "application/json",
            },
            content=content,
        )
        # Its own pipeline is the one thing that the client does not show; the version is pinned, and tests use it.
        response = await self._client.send_request(request, stream=True, **kwargs)
        await response.read()
        if response.status_code != _ACCEPTED:
            raise HttpResponseError(response=response)
        results = answers(response.text())
        if not results:
            raise HttpResponseError("an answer to a transaction without parts", response=response)
        return results
