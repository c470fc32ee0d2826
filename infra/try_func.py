"""Does the real Functions host take the app? ``python infra/try_func.py DIRECTORY`` (needs ``func`` on the PATH).

Starts ``func start`` in DIRECTORY, with the storage emulator of this project, and waits until the host answers
``GET /api/health``. Ends with 1 if it does not within two minutes, and prints what the host said.
"""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import tempfile
import time
from http import HTTPStatus
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
_PATIENCE_SECONDS: Final = 120
_PORT: Final = 7171


def _answers() -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", _PORT, timeout=5)
    try:
        connection.request("GET", "/api/health")
        return connection.getresponse().status == HTTPStatus.OK
    except (http.client.HTTPException, OSError):
        return False
    finally:
        connection.close()


def main(directory: str) -> int:
    """Start, ask, stop."""
    from mms_local.storage import Azurite

    with tempfile.TemporaryDirectory() as data, (Path(data) / "host.log").open("w+") as log:
        storage = Azurite()
        storage.start()
        environment = {"AzureWebJobsStorage": storage.connection_string, "FUNCTIONS_WORKER_RUNTIME": "python"}
        command = ["func", "start", "--port", str(_PORT)]
        host = subprocess.Popen(command, cwd=directory, env={**os.environ, **environment}, stdout=log, stderr=log)
        try:
            end = time.monotonic() + _PATIENCE_SECONDS
            while time.monotonic() < end and host.poll() is None:
                if _answers():
                    return 0
                time.sleep(1)
            log.seek(0)
            print(log.read())
            return 1
        finally:
            host.terminate()
            host.wait(30)
            storage.stop()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
