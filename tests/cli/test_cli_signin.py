"""Where tokens come from, where they go, and where they never end up."""

from __future__ import annotations

import json
import stat
import time
from urllib.parse import parse_qs

import pytest

from mms_cli import profile, signin
from mms_cli.failures import CliError, NotSignedIn, UsageError
from mms_cli.profile import Profile

SCOPE = "api://mms/.default"
SECRET = "eyJ-not-for-anybody"


def _connection(url=None):
    return signin.connection(url, prompt=lambda *_: None, interactive=False)


def _ready(path, api="http://127.0.0.1:7071/api", operator=SECRET):
    path.write_text(json.dumps({"api": api, "tokens": {"operator": operator, "reader": "r"}}))
    return path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://app.azurewebsites.net", "https://app.azurewebsites.net/api"),
        ("https://app.azurewebsites.net/", "https://app.azurewebsites.net/api"),
        ("https://app.azurewebsites.net/api/", "https://app.azurewebsites.net/api"),
        ("http://127.0.0.1:7071/api", "http://127.0.0.1:7071/api"),
        ("http://[::1]:7071", "http://[::1]:7071/api"),
        ("http://localhost:7071", "http://localhost:7071/api"),
    ],
)
def test_addresses_as_people_write_them(text, expected):
    """With and without /api."""
    assert profile.base_url(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "app.azurewebsites.net", "http://app.azurewebsites.net", "http://127.0.0.1.evil.example", "http://localhost.evil.example",
     "https://user:word@app.example", "ftp://app.example", "https://", "https://a:99999", "https://app.example?x=1"],
)  # fmt: skip
def test_address_over_which_a_token_must_not_travel_is_refused(text):
    """Unencrypted, or none at all."""
    with pytest.raises(UsageError):
        profile.base_url(text)


def test_nobody_is_signed_in_at_first():
    """And the error says what to do."""
    with pytest.raises(NotSignedIn) as failed:
        _connection()
    assert "mms login" in failed.value.remedy


def test_environment_goes_before_the_sign_in(tmp_path, monkeypatch):
    """As in every other tool."""
    profile.save(
        Profile(url="http://127.0.0.1:7071/api", method="ready-file", ready_file=str(_ready(tmp_path / "r.json")))
    )
    monkeypatch.setenv("MMS_URL", "https://app.example")
    monkeypatch.setenv("MMS_TOKEN", " abc\n")
    url, tokens = _connection()
    assert (url, tokens.token()) == ("https://app.example/api", "abc")
    url, _ = _connection("https://other.example")
    assert url == "https://other.example/api"


def test_token_goes_only_where_it_was_got_for(tmp_path, monkeypatch):
    """Another --url or MMS_URL needs its own sign-in."""
    profile.save(Profile(url="https://app.example/api", method="managed-identity", scope=SCOPE))
    assert _connection()[0] == "https://app.example/api"
    assert _connection("https://app.example/")[0] == "https://app.example/api"
    with pytest.raises(NotSignedIn):
        _connection("https://evil.example")
    monkeypatch.setenv("MMS_URL", "https://evil.example")
    with pytest.raises(NotSignedIn):
        _connection()
    monkeypatch.delenv("MMS_URL")
    profile.save(
        Profile(url="http://127.0.0.1:7071/api", method="ready-file", ready_file=str(_ready(tmp_path / "r.json")))
    )
    with pytest.raises(NotSignedIn):
        _connection("http://127.0.0.1:9/api")


def test_ready_file_is_read_again_when_its_token_is_refused(tmp_path):
    """A part of the stack was started again, with other tokens."""
    path = _ready(tmp_path / "ready.json", operator="old")
    profile.save(Profile(url="http://127.0.0.1:7071/api", method="ready-file", ready_file=str(path)))
    _, tokens = _connection()
    assert tokens.token() == "old"
    _ready(path, operator="new")
    assert (tokens.token(), tokens.token(anew=True)) == ("old", "new")


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"api": 1, "tokens": {"operator": "x"}}', '{"api": "x", "tokens": {}}']
)
def test_file_that_is_no_ready_file_is_refused(tmp_path, content):
    """Not a crash."""
    path = tmp_path / "ready.json"
    path.write_text(content)
    with pytest.raises(UsageError, match="ready file"):
        signin.ReadyFile(path, "operator").read()


def test_profile_holds_no_token_and_is_its_owners_alone(tmp_path):
    """What is kept is where and how."""
    path = profile.save(
        Profile(url="http://127.0.0.1:7071/api", method="ready-file", ready_file=str(_ready(tmp_path / "r.json")))
    )
    _connection()[1].token()
    for each in profile.directory().iterdir():
        assert SECRET not in each.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert profile.forget()
    assert not profile.forget()
    assert profile.load() is None


@pytest.mark.parametrize("content", ["", "[]", '{"url": "x"}', '{"url": "https://x/api", "method": "guess"}'])
def test_damaged_profile_asks_for_a_new_sign_in(content):
    """Not a crash."""
    profile.directory().mkdir(parents=True)
    (profile.directory() / "profile.json").write_text(content)
    with pytest.raises(UsageError) as failed:
        profile.load()
    assert "mms login" in failed.value.remedy


class SignInService:
    """Entra ID's token endpoint, as far as azure-identity asks for it; no socket."""

    def __init__(self, *, refuses=False):
        self.forms = []
        self._refuses = refuses

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def open(self):
        """Nothing to open."""

    def close(self):
        """Nothing to close."""

    def send(self, request, **_):
        """Answer as Entra ID does."""
        body = request.body or {}
        form = body if isinstance(body, dict) else {name: values[0] for name, values in parse_qs(body).items()}
        if form:
            self.forms.append(form)
        return Answer(request, self._answer(request.url, form))

    def _answer(self, url, form):
        if "openid-configuration" in url:
            base = url.partition("/v2.0/")[0]
            return {
                "issuer": f"{base}/v2.0",
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
            }
        if "devicecode" in url:
            return {
                "device_code": "d", "user_code": "ABC-DEF", "verification_uri": "https://login.example/device",
                "expires_in": 900, "interval": 0, "message": "go there",
            }  # fmt: skip
        if self._refuses:
            return {
                "error": "invalid_client",
                "error_description": "AADSTS7000215: Invalid client secret\r\nTrace ID: 1",
            }
        claims = {
            "aud": "cli",
            "sub": "s",
            "iss": "https://login.example/t1/v2.0",
            "tid": "t1",
            "preferred_username": "ada@b.example",
        }
        return {
            "access_token": f"token-{len(self.forms)}", "token_type": "Bearer", "expires_in": 3600,
            "id_token": _unsigned({**claims, "exp": time.time() + 3600, "iat": time.time(), "nonce": form.get("nonce")}),
            "client_info": _part({"uid": "u", "utid": "t1"}),
        }  # fmt: skip


def _part(value):
    import base64

    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def _unsigned(claims):
    return f"{_part({'alg': 'none'})}.{_part(claims)}."


class Answer:
    """An answer as azure-core sees it."""

    def __init__(self, request, value):
        self.request = request
        self.status_code = 400 if "error" in value else 200
        self.headers = {"Content-Type": "application/json"}
        self.content_type = "application/json"
        self.reason = ""
        self._text = json.dumps(value)

    def text(self, encoding=None):
        """Return the text."""
        del encoding
        return self._text

    def body(self):
        """Return the bytes."""
        return self._text.encode()


def _entra(method, service, **more):
    account = Profile(url="https://app.example/api", method=method, scope=SCOPE, **more)
    said = []
    credential = signin.credential(account, prompt=lambda *what: said.append(what), interactive=True, transport=service)
    return credential, said


def test_service_principal_of_the_environment_signs_in(monkeypatch):
    """AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET, for pipelines."""
    for name, value in (("TENANT_ID", "t1"), ("CLIENT_ID", "c1"), ("CLIENT_SECRET", "s1")):
        monkeypatch.setenv(f"AZURE_{name}", value)
    service = SignInService()
    tokens = signin.EntraTokens(_entra("environment", service)[0], SCOPE)
    first = tokens.token()
    assert tokens.token() == first
    assert first.startswith("token-")
    asked = service.forms[-1]
    assert (asked["grant_type"], asked["client_id"], asked["scope"]) == ("client_credentials", "c1", SCOPE)


def test_device_code_is_shown_and_the_sign_in_remembered_without_a_secret(monkeypatch):
    """The record names who it was; the token is not in it."""
    monkeypatch.setattr(signin, "has_keyring", lambda: False)
    service = SignInService()
    credential, said = _entra("device-code", service, tenant_id="t1", client_id="cli")
    record = signin.ask_entra(lambda: credential.authenticate(scopes=[SCOPE]))
    assert said[0][:2] == ("https://login.example/device", "ABC-DEF")
    kept = record.serialize()
    assert "ada@b.example" in kept
    assert "token-" not in kept


def test_refusal_is_one_line_with_a_remedy(monkeypatch, capfd):
    """Microsoft's first line says it; nothing else is printed in between."""
    for name, value in (("TENANT_ID", "t1"), ("CLIENT_ID", "c1"), ("CLIENT_SECRET", "s1")):
        monkeypatch.setenv(f"AZURE_{name}", value)
    tokens = signin.EntraTokens(_entra("environment", SignInService(refuses=True))[0], SCOPE)
    with pytest.raises(NotSignedIn) as failed:
        tokens.token()
    assert "AADSTS7000215" in failed.value.message
    assert "\n" not in failed.value.message
    assert "s1" not in failed.value.message.split()
    assert capfd.readouterr() == ("", "")


def test_token_is_renewed_before_it_expires():
    """Two minutes before, so that none dies on its way."""

    class Credential:
        def __init__(self):
            self.asked = 0

        def get_token(self, _):
            self.asked += 1
            lifetime = 60 if self.asked == 1 else 3600
            return type("Token", (), {"token": str(self.asked), "expires_on": time.time() + lifetime})

    tokens = signin.EntraTokens(Credential(), SCOPE)
    assert [tokens.token(), tokens.token(), tokens.token(), tokens.token(anew=True)] == ["1", "2", "2", "3"]


def test_method_that_asks_a_person_needs_one():
    """A browser in a cron job waits for ever."""
    account = Profile(url="https://app.example/api", method="browser")
    with pytest.raises(CliError) as failed:
        signin.check_interactive(account, is_terminal=False)
    assert "managed-identity" in failed.value.remedy
    signin.check_interactive(account, is_terminal=True)


def test_without_a_keyring_nothing_is_kept(monkeypatch):
    """On a Linux server there is no desktop to keep a secret."""
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent")
    assert signin.has_keyring() is False
