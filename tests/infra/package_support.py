"""The package as it is deployed, running: in an environment of its own, with an identity and no key to storage.

The app runs in an environment made from the package's requirements.txt. The local host, which stands in for Azure's,
comes with the one library that it needs beyond those. Storage is Azurite over TLS with OAuth on: it takes tokens only
from the managed-identity endpoint, which the simulated tenant plays.
"""

from __future__ import annotations

import datetime as dt
import importlib.util
import ipaddress
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mms_local.node import azurite_command
from mms_local.ports import free_ports

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "system"))

from system_stack import Stack  # noqa: E402 - found by the path above

_ACCOUNT = "devstoreaccount1"
_HOST_ONLY = ("croniter", "dateutil", "six")
"""What our local host needs and the package does not have: it reads schedules with croniter."""


@contextmanager
def process(command, log, **options):
    """A process that ends with the test."""
    with log.open("wb") as out:
        started = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, **options)
        try:
            yield started
        finally:
            started.send_signal(signal.SIGTERM)
            try:
                started.wait(20)
            except subprocess.TimeoutExpired:
                started.kill()
                started.wait()


def until(is_so, *, log, patience_seconds=60):
    """Wait until *is_so*."""
    end = time.monotonic() + patience_seconds
    while not is_so():
        if time.monotonic() > end:
            raise AssertionError(log.read_text(errors="replace")[-4000:])
        time.sleep(0.1)


def make_certificate(directory):
    """A certificate for 127.0.0.1, made for this test alone."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = directory / "tls.pem", directory / "tls.key"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


@contextmanager
def tenant_alone(directory):
    """The simulated tenant; gives its ready file."""
    ready, log = directory / "tenant.json", directory / "tenant.log"
    command = [sys.executable, "-m", "mms_simulator", "--port", "0", "--in-memory", "--ready-file", str(ready)]
    with process(command, log, cwd=ROOT):
        until(ready.exists, log=log)
        yield json.loads(ready.read_text())


@contextmanager
def deployed(package, directory, ready, **more):
    """The app over storage that takes tokens only, in the tenant of *ready*; *more* are app settings."""
    _, app, python = package
    certificate, key = make_certificate(directory)
    blob, queue, table, port = free_ports(4)
    services = {"blob": blob, "queue": queue, "table": table}
    storage = [*azurite_command(), "--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry", "--silent"]
    for name, number in services.items():
        storage += [f"--{name}Host", "127.0.0.1", f"--{name}Port", str(number)]
    storage += ["--oauth", "basic", "--cert", str(certificate), "--key", str(key)]
    logs = {name: directory / f"{name}.log" for name in ("storage", "host")}
    host_file = directory / "host.json"
    trust = ssl.create_default_context(cafile=str(certificate))

    def listens():
        try:
            httpx.get(f"https://127.0.0.1:{queue}/{_ACCOUNT}", verify=trust)
        except httpx.HTTPError:
            return False
        return True

    with process(storage, logs["storage"]):
        until(listens, log=logs["storage"])
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(directory),
            "PYTHONPATH": str(host_alone(directory)),
            "SSL_CERT_FILE": str(certificate),
            "IDENTITY_ENDPOINT": f"{ready['base']}/msi/token",
            "IDENTITY_HEADER": "here",
            **app_settings(ready, port),
            **{
                f"AzureWebJobsStorage__{name}ServiceUri": f"https://127.0.0.1:{number}/{_ACCOUNT}"
                for name, number in services.items()
            },
            **more,
        }
        host = [str(python), "-m", "mms_local.host", "--app", str(app), "--port", str(port)]
        host += ["--grace", "5", "--ready-file", str(host_file)]
        with process(host, logs["host"], env=environment, cwd=directory):
            until(host_file.exists, log=logs["host"])
            assert imported_from(python, environment, app) == str(app)
            stack = Stack(
                {
                    "api": f"http://127.0.0.1:{port}/api",
                    "graph": ready["graph"],
                    "tenant": ready["tenant"],
                    "tokens": dict(ready["tokens"]),
                },
                logs["host"],
            )
            with stack.http:
                for role, name in (("Mms.Operate", "operator"), ("Mms.Read", "reader")):
                    wish = {"aud": "api://mms", "roles": [role]}
                    stack.ready["tokens"][name] = stack.tenant("POST", "tokens", wish)["access_token"]
                yield stack
        assert "in error" not in logs["host"].read_text(errors="replace")


def app_settings(ready, port):
    """What Bicep sets, with the simulated tenant's addresses and a short settling time."""
    return {
        "FUNCTIONS_WORKER_RUNTIME": "python",
        "AzureWebJobsStorage__credential": "managedidentity",
        "MMS_TENANT_ID": ready["tenantId"],
        "MMS_API_AUDIENCE": "api://mms",
        "MMS_TOKEN_ISSUER": f"{ready['base']}/{ready['tenantId']}/v2.0",
        "MMS_TOKEN_KEYS_URL": f"{ready['base']}/{ready['tenantId']}/discovery/v2.0/keys",
        "MMS_GRAPH_URL": ready["graph"],
        "MMS_ACTIVITY_URL": f"{ready['base']}/api/v1.0/{ready['tenantId']}/activity/feed",
        "MMS_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "MMS_CLIENT_STATE": "state",
        "MMS_ACTIVITY_AUTH_ID": "auth",
        "MMS_SETTLE_SECONDS": "1",
        "MMS_TRIGGER_QUEUE": "mms-triggers",
        "MMS_RUN_QUEUE": "mms-runs",
        "AzureFunctionsJobHost__extensions__queues__maxPollingInterval": "00:00:00.500",
        **{
            name: "0 0 0 1 1 *"
            for name in json.loads((ROOT / "local.settings.example.json").read_text())["Values"]
            if name.endswith("_SCHEDULE")
        },
    }


def host_alone(directory):
    """Our local host, and what it alone needs, where the package's own modules are not."""
    beside = directory / "host"
    shutil.copytree(ROOT / "mms_local", beside / "mms_local", ignore=shutil.ignore_patterns("azurite", "__pycache__"))
    for name in _HOST_ONLY:
        origin = Path(importlib.util.find_spec(name).origin)
        if origin.name == "__init__.py":
            shutil.copytree(origin.parent, beside / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(origin, beside / origin.name)
    return beside


def imported_from(python, environment, app):
    """Where that environment takes the product from: the unpacked package, not this checkout."""
    script = "import sys; sys.path.insert(0, sys.argv[1]); import mms_core, pathlib; "
    script += "print(pathlib.Path(mms_core.__file__).parents[1])"
    answer = subprocess.run(
        [str(python), "-c", script, str(app)], env=environment, cwd="/", check=True, capture_output=True, text=True
    )
    return answer.stdout.strip()
