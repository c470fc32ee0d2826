"""Mail from one mailbox of the tenant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kiota_abstractions.method import Method

from mms_core.ports import Mail

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mms_core.adapters.graph.transport import GraphTransport


class GraphMail(Mail):
    """Mail over Graph; needs ``Mail.Send`` for the sender's mailbox and nothing else."""

    def __init__(self, transport: GraphTransport) -> None:
        self._transport = transport

    async def send(self, sender: str, recipients: Sequence[str], *, subject: str, html: str) -> None:
        """See :class:`~mms_core.ports.Mail`."""
        body = {
            "message": {
                "subject": subject,
                "body": {"contentType": "html", "content": html},
                "toRecipients": [{"emailAddress": {"address": each}} for each in recipients],
            },
            "saveToSentItems": False,
        }
        builder = self._transport.client.users.by_user_id(sender).send_mail
        await self._transport.write(self._transport.request(builder, Method.POST, body))
