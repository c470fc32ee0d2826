"""The shell of the web page: its policy allows exactly what it holds, and it is small."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
import re

import pytest

from mms_core.api import ApiRequest, PagesApi
from mms_core.settings import from_environment

BASE = {"MMS_TENANT_ID": "0b1c2d3e-1111-4222-8333-444455556666", "MMS_API_AUDIENCE": "0000-app api://mms"}


async def _page(**more):
    response = await PagesApi(from_environment({**BASE, **more})).dashboard(ApiRequest(method="GET"))
    policy = dict(part.strip().partition(" ")[::2] for part in response.headers["Content-Security-Policy"].split(";"))
    return response, response.body.decode(), policy


@pytest.mark.parametrize(("tag", "directive"), [("style", "style-src"), ("script", "script-src")])
async def test_the_policy_allows_the_one_style_and_the_one_script_by_their_hashes(tag, directive):
    """Nothing else inline, nothing from anywhere else, no frame around it."""
    _, text, policy = await _page()
    (inside,) = re.findall(rf"<{tag}[^>]*>(.*?)</{tag}>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
    assert policy[directive] == f"'sha256-{digest}'"
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["connect-src"] == "'self'"
    assert "{{" not in text


async def test_the_page_is_under_100_kilobytes_compressed_and_names_no_other_host():
    """All of it is in the one answer."""
    response, text, _ = await _page()
    assert response.content_type == "text/html; charset=utf-8"
    assert len(gzip.compress(response.body)) < 100_000
    assert set(re.findall(r"https?://[\w./-]+", text)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", text)


async def test_signing_in_with_entra_is_offered_where_it_is_configured():
    """The script gets what it needs, and may talk to the sign-in service."""
    _, text, policy = await _page(MMS_DASHBOARD_CLIENT_ID='x"><script>')
    (told,) = re.findall(r'data-sign-in="([^"]*)"', text)
    about = json.loads(html.unescape(told))
    assert about["clientId"] == 'x"><script>'
    assert about["authority"] == f"https://login.microsoftonline.com/{BASE['MMS_TENANT_ID']}/oauth2/v2.0"
    assert about["scope"] == "0000-app/.default"  # with its URI, Entra refuses a registration that asks for itself
    assert policy["connect-src"] == "'self' https://login.microsoftonline.com"
    _, text, _ = await _page()
    assert 'data-sign-in="null"' in text
