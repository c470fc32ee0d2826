"""A service that answers as a test says, on a real socket, and remembers what it was asked."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

ROOT = Path(__file__).parents[2]
TOKEN = "eyJ-not-for-anybody"


class FakeService:
    """Answers requests with what ``answer(method, route, query, body, headers)`` returns: a value, or (status, value)."""

    def __init__(self, answer):
        self.requests = []
        self._answer = answer
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                """Keep quiet."""

            def _serve(self):
                parts = urlsplit(self.path)
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                asked = (
                    self.command,
                    parts.path.removeprefix("/api/"),
                    dict(parse_qsl(parts.query)),
                    body,
                    self.headers,
                )
                service.requests.append(asked)
                answer = service._answer(*asked)
                if answer is None:  # the connection breaks before the answer
                    self.close_connection = True
                    return
                status, value = answer if isinstance(answer, tuple) else (200, answer)
                data = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                if status == 302:
                    self.send_header("Location", "/api/elsewhere")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PATCH = _serve  # noqa: N815 - http.server wants these names

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self):
        """Address without /api."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def environment(self, **more):
        """What a process needs to talk to it."""
        kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS")}
        return {**kept, "MMS_URL": self.url, "MMS_TOKEN": TOKEN, "TERM": "xterm", **more}

    def mms(self, *words, stdin="", **environment):
        """Run the command to its end, without a terminal."""
        return subprocess.run(
            [sys.executable, "-m", "mms_cli", *words],
            cwd=ROOT, input=stdin, capture_output=True, text=True, timeout=60, check=False,
            env=self.environment(**environment),
        )  # fmt: skip

    def on_terminal(self, *words, types="", **environment):
        """Run the command on a terminal, type *types*; returns the exit code and all that was on the screen."""
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "mms_cli", *words],
            cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
            env=self.environment(**environment),
        )  # fmt: skip
        os.close(theirs)
        os.write(ours, types.encode())
        shown = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # the last one has closed the terminal
                break
            if not part:
                break
            shown += part
        os.close(ours)
        return process.wait(60), shown.decode()
