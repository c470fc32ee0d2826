"""A second, independent client, unmodified: the package O365, with only its base address changed (done when, 2)."""

import asyncio
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import O365
import pytest
from simulator_support import Tenant

HERE = ZoneInfo("UTC")


def account(tenant: Tenant) -> Any:
    """Make O365's account for Ada's mailbox."""
    from O365.utils.token import BaseTokenBackend

    class Known(BaseTokenBackend):
        """A token that is simply there."""

        has_data = True

        def load_token(self):
            return True

        def get_access_token(self, **_):
            return {"secret": tenant.token, "expires_on": str(2**31)}

    class Here(O365.MSGraphProtocol):
        """The protocol, at our address."""

        _protocol_url = f"{tenant.base}/"

    return O365.Account(
        ("client", "secret"),
        auth_flow_type="credentials",
        tenant_id=tenant.front.store.tenant_id,
        protocol=Here(default_resource="ada@contoso.example", timezone="UTC"),
        token_backend=Known(),
        main_resource="ada@contoso.example",
        requests_delay=0,
    )


def use(tenant: Tenant) -> dict[str, Any]:
    """Do what a client does with a calendar; blocking, so it runs in a thread."""
    calendar = account(tenant).schedule().get_default_calendar()
    for number in range(23):
        event = calendar.new_event(subject=f"Meeting {number:02d}")
        event.start = datetime(2027, 3, 1, 9, tzinfo=HERE)
        event.end = datetime(2027, 3, 1, 10, tzinfo=HERE)
        event.body = "<p>From the second client</p>"
        event.attendees.add("eve@fabrikam.example")
        assert event.save()
    found = list(calendar.get_events(limit=None, batch=10, include_recurring=False))
    first = calendar.get_event(found[0].object_id)
    first.subject = "Changed"
    assert first.save()
    window = {"start_recurring": datetime(2027, 3, 1, tzinfo=HERE), "end_recurring": datetime(2027, 3, 2, tzinfo=HERE)}
    viewed = list(calendar.get_events(limit=None, batch=10, include_recurring=True, **window))
    assert found[1].delete()
    return {
        "found": [each.subject for each in found],
        "body": first.body,
        "again": calendar.get_event(first.object_id).subject,
        "viewed": len(viewed),
        "left": len(list(calendar.get_events(limit=None, batch=100, include_recurring=False))),
    }


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
async def test_o365_writes_lists_reads_and_changes_events_with_paging(tenant):
    """Creates 23 events, pages through them, reads, changes and deletes one."""
    await tenant.user("ada")
    seen = await asyncio.to_thread(use, tenant)
    assert seen["found"] == [f"Meeting {number:02d}" for number in range(23)]
    assert "From the second client" in seen["body"]
    assert (seen["again"], seen["viewed"], seen["left"]) == ("Changed", 23, 22)
