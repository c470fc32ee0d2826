"""What Graph's errors mean to us, and when to come back."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mms_core.adapters.graph.failures import failure, retry_after
from mms_core.errors import MmsError, NotFound, OutcomeUnknown, PermanentError, PreconditionLost, TemporaryError

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
quick = settings.get_profile("unit")


def _failure(status, *, code="", message="", is_write=False, headers=None):
    content = json.dumps({"error": {"code": code, "message": message, "innerError": {"date": "x"}}}).encode()
    return failure(status, headers or {}, content, is_write=is_write, now=NOW)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30", 30),
        (" 0 ", 0),
        ("1.5", 1.5),
        ("200", 200),
        ("-5", 0),
        ("Mon, 02 Mar 2026 08:02:00 GMT", 120),
        ("Mon, 02 Mar 2026 09:02:00 +0100", 120),
        ("Mon, 02 Mar 2026 07:00:00 GMT", 0),
        ("Monday, 02-Mar-26 08:02:00 GMT", 120),
    ],
)
def test_retry_after_is_read_in_all_its_forms(text, seconds):
    """Seconds, decimal seconds, HTTP dates; never negative."""
    assert retry_after({"Retry-After": text}, now=NOW) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", [None, "", "soon", "1e400", "nan", "inf", "-inf", "Mon, 99 Foo 2026", "2026-03-02", "\x00", "1,5"]
)
def test_a_retry_after_that_says_nothing_is_none(text):
    """Then the wait is ours to choose."""
    assert retry_after({} if text is None else {"Retry-After": text}, now=NOW) is None


@quick
@given(st.text(max_size=30))
def test_no_retry_after_crashes(text):
    """A duration that is not negative, or nothing."""
    wait = retry_after({"Retry-After": text}, now=NOW)
    assert wait is None or wait >= timedelta(0)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_a_success_is_no_failure(status):
    """Whatever its body says."""
    assert failure(status, {}, b"not json", is_write=True, now=NOW) is None


@pytest.mark.parametrize("status", [300, 302, 307, 399])
def test_a_redirect_is_no_answer(status):
    """Taken for a success it would be an empty list, or a write that nobody carried out."""
    for is_write in (False, True):
        problem = failure(status, {"Location": "https://elsewhere.example"}, b"", is_write=is_write, now=NOW)
        assert type(problem) is TemporaryError
        assert "elsewhere" not in str(problem)


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (400, PermanentError, "MeetingRejected"),
        (401, TemporaryError, "SignInFailed"),
        (403, PermanentError, "MailboxAccessDenied"),
        (404, NotFound, "NotFound"),
        (405, PermanentError, "MeetingRejected"),
        (408, TemporaryError, "ServiceUnavailable"),
        (409, PreconditionLost, "PreconditionFailed"),
        (410, NotFound, "NotFound"),
        (412, PreconditionLost, "PreconditionFailed"),
        (413, PermanentError, "MeetingRejected"),
        (422, PermanentError, "MeetingRejected"),
        (429, TemporaryError, "Throttled"),
        (500, TemporaryError, "ServiceUnavailable"),
        (502, TemporaryError, "ServiceUnavailable"),
        (503, TemporaryError, "ServiceUnavailable"),
        (504, TemporaryError, "ServiceUnavailable"),
        (509, TemporaryError, "ServiceUnavailable"),
    ],
)
def test_each_status_of_a_read(status, kind, code):
    """What somebody can do about it decides the kind."""
    exc = _failure(status)
    assert (type(exc), exc.code) == (kind, code)
    assert str(status) in exc.detail


@pytest.mark.parametrize("status", [500, 502, 504])
def test_these_do_not_tell_whether_a_write_was_carried_out(status):
    """Read before anything is repeated."""
    assert type(_failure(status, is_write=True)) is OutcomeUnknown


@pytest.mark.parametrize("status", [401, 408, 429, 503])
def test_these_tell_that_a_write_was_not_carried_out(status):
    """It may be repeated."""
    assert type(_failure(status, is_write=True)) is TemporaryError


@pytest.mark.parametrize("status", [429, 503, 500, 504])
def test_the_wish_to_wait_is_kept(status):
    """Of a read and of a write."""
    for is_write in (True, False):
        exc = _failure(status, is_write=is_write, headers={"Retry-After": "200"})
        assert exc.retry_after == timedelta(seconds=200)


@pytest.mark.parametrize(
    ("code", "status", "kind", "ours"),
    [
        ("MailboxNotEnabledForRESTAPI", 404, PermanentError, "MailboxOnPremises"),
        ("MailboxNotSupportedForRESTAPI", 404, PermanentError, "MailboxOnPremises"),
        ("MailboxNotHostedInExchangeOnline", 404, PermanentError, "MailboxOnPremises"),
        ("ErrorNonExistentMailbox", 404, PermanentError, "MailboxMissing"),
        ("ErrorExceededMessageLimit", 403, TemporaryError, "ServiceUnavailable"),
        ("ErrorQuotaExceeded", 507, TemporaryError, "ServiceUnavailable"),
        ("ErrorItemNotFound", 404, NotFound, "NotFound"),
        ("ErrorIrresolvableConflict", 409, PreconditionLost, "PreconditionFailed"),
        ("ErrorAccessDenied", 403, PermanentError, "MailboxAccessDenied"),
        ("AF20022", 400, NotFound, "NotFound"),
        ("AF20023", 400, NotFound, "NotFound"),
        ("AF20031", 400, NotFound, "NotFound"),
        ("AF20050", 400, NotFound, "NotFound"),
        ("AF20051", 400, NotFound, "NotFound"),
        ("AF20024", 400, PreconditionLost, "PreconditionFailed"),
        ("AF429", 403, TemporaryError, "Throttled"),
        ("AF10001", 403, PermanentError, "RightMissing"),
    ],
)
def test_graphs_own_codes_come_before_the_status(code, status, kind, ours):
    """W2 is found this way: on-premises is not "not found". The activity feed documents codes and no status."""
    for is_write in (True, False):
        exc = _failure(status, code=code, is_write=is_write)
        assert (type(exc), exc.code) == (kind, ours)
        assert code in exc.detail


def test_a_missing_application_access_policy_is_told_from_other_refusals():
    """By the words of the message; there is no code of its own."""
    message = "No application access policy found for this app: 1 on the user: 2."
    assert _failure(403, code="Forbidden", message=message).code == "AppAccessPolicyMissing"
    assert _failure(403, code="Forbidden", message="Insufficient privileges").code == "MailboxAccessDenied"


@pytest.mark.parametrize(
    "content", [b"", b"<html>Bad gateway</html>", b"null", b"[]", b'{"error":"text"}', b'{"error":null}', b"\xff"]
)
def test_a_body_that_is_not_graphs_leaves_it_to_the_status(content):
    """A proxy's page, or nothing."""
    assert failure(502, {}, content, is_write=True, now=NOW).code == "OutcomeUnknown"
    assert failure(404, {}, content, is_write=True, now=NOW).code == "NotFound"


def test_the_foreign_message_is_not_kept():
    """It may carry a subject or an address."""
    exc = _failure(400, code="ErrorInvalidProperty", message="The subject 'Salary of Adele' is wrong")
    assert "Salary" not in str(exc)


@quick
@given(st.integers(400, 599), st.text(max_size=300), st.booleans())
def test_every_answer_has_a_meaning(status, code, is_write):
    """Whatever Graph invents."""
    exc = _failure(status, code=code, is_write=is_write)
    assert isinstance(exc, MmsError)
    assert len(exc.detail) <= 200
