"""Storage that answers slowly, or whose answers get lost, loses nothing that was answered."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import secrets

from contract_support import AzuriteStorage

from mms_core.adapters.storage_clock import StorageClock
from mms_core.errors import TemporaryError
from mms_core.messages import UsersChanged
from mms_core.notifications import parse_notifications
from mms_core.service import Inbox, Options, Parts
from mms_local.delaying import DelayingProxy
from mms_local.storage import StoragePorts

TENANT = "11112222-bbbb-3333-cccc-4444dddd5555"


def _call(users):
    rows = [
        {"subscriptionId": "s", "clientState": "state", "tenantId": TENANT, "resourceData": {"id": user}}
        for user in users
    ]
    return parse_notifications(json.dumps({"value": rows}).encode(), client_state="state", tenant_id=TENANT)


async def test_what_was_answered_is_in_the_queue_however_slowly_storage_answers(azurite):
    """Every fifth answer is lost after the write was carried out; the sender repeats what was not answered."""
    dice = random.Random(11)

    def delay():
        return None if dice.random() < 0.2 else dice.random() * 0.1

    prefix = f"T{secrets.token_hex(6)}"
    batches = [[f"user-{batch}-{number}" for number in range(20)] for batch in range(30)]
    async with contextlib.AsyncExitStack() as stack:
        ports = StoragePorts(
            blob=azurite.ports.blob,
            queue=(await stack.enter_async_context(DelayingProxy(azurite.ports.queue, delay=delay))).port,
            table=(await stack.enter_async_context(DelayingProxy(azurite.ports.table, delay=delay))).port,
        )
        slow = AzuriteStorage(ports.connection_string, prefix=prefix)
        stack.push_async_callback(slow.close)
        parts = Parts(
            users=slow.users,
            ledger=slow.ledger,
            documents=slow.documents,
            queue=slow.queue,
            clock=StorageClock(),
            graph=lambda: None,
            options=Options(tenant_id=TENANT),
        )
        inbox = Inbox(parts)
        repeated = 0

        async def post(users):
            nonlocal repeated
            while True:
                try:
                    return await inbox.notifications(_call(users))
                except TemporaryError:
                    repeated += 1

        await asyncio.gather(*map(post, batches))
    quick = AzuriteStorage(azurite.connection_string, prefix=prefix)
    try:
        found = set()
        while messages := await quick.received(UsersChanged):
            found |= {user for each in messages if isinstance(each, UsersChanged) for user in each.users}
    finally:
        await quick.close()
    assert found == {user for users in batches for user in users}
