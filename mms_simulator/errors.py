"""Graph's errors: one exception, and a constructor for each row of the catalogue (fact sheet 8.3)."""

from http import HTTPStatus


class GraphError(Exception):
    """An answer that is not a success: status, Graph's code, its message, and headers to add."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        headers: dict[str, str] | None = None,
        *,
        details: list[dict[str, str]] | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = int(status)
        self.code = code
        self.message = message
        self.headers = headers or {}
        self.details = details


def bad_request(message: str, code: str = "ErrorInvalidRequest") -> GraphError:
    """400: the request itself is wrong; repeating it does not help."""
    return GraphError(HTTPStatus.BAD_REQUEST, code, message)


def item_not_found() -> GraphError:
    """404 for a calendar item (8.3): deleted meanwhile, or never there."""
    return GraphError(HTTPStatus.NOT_FOUND, "ErrorItemNotFound", "The specified object was not found in the store.")


def malformed_id() -> GraphError:
    """400 for text that is no id of an item or a calendar."""
    return bad_request("Id is malformed.", "ErrorInvalidIdMalformed")


def resource_not_found(what: str, code: str = "Request_ResourceNotFound") -> GraphError:
    """404 for a directory object, a subscription, a route."""
    return GraphError(
        HTTPStatus.NOT_FOUND,
        code,
        f"Resource '{what}' does not exist or one of its queried reference-property objects are not present.",
    )


def mailbox_not_enabled() -> GraphError:
    """404 for a mailbox that is not in Exchange Online (8.3)."""
    return GraphError(
        HTTPStatus.NOT_FOUND,
        "MailboxNotEnabledForRESTAPI",
        "The mailbox is either inactive, soft-deleted, or is hosted on-premise.",
    )


def access_denied() -> GraphError:
    """403 of a scoped application (2.6)."""
    return GraphError(HTTPStatus.FORBIDDEN, "ErrorAccessDenied", "Access to OData is disabled.")


def unauthorized(message: str, headers: dict[str, str] | None = None) -> GraphError:
    """401: no token, an old one, or one for somebody else."""
    challenge = {"WWW-Authenticate": 'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common"'}
    return GraphError(HTTPStatus.UNAUTHORIZED, "InvalidAuthenticationToken", message, headers or challenge)


def change_key_conflict(status: int) -> GraphError:
    """412 or 409 for a change key that has moved (1.6)."""
    return GraphError(
        status,
        "ErrorIrresolvableConflict",
        "The send or update operation could not be performed because the change key passed in the request does not "
        "match the current change key for the item.",
    )


def unsupported_filter(message: str, status: int = HTTPStatus.BAD_REQUEST) -> GraphError:
    """The refusals of section 2.2."""
    code = "UnsupportedEntityExpression" if status == HTTPStatus.NOT_IMPLEMENTED else "ErrorInvalidUrlQueryFilter"
    return GraphError(status, code, message)
