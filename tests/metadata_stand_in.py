"""Plays the metadata service of an ECS instance on loopback. Runs on CPython 3.6."""

import contextlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import ThreadingMixIn

ROLES = "/latest/meta-data/ram/security-credentials/"


class MetadataService:
    """What it answers, and what it was asked.

    :ivar requests: (method, path, header) of each request, the header being the one of the mode.
    :ivar answers: What to do instead, by path: a function that takes the handler.
    """

    def __init__(self):
        self.role = "SentryNodes"
        self.key = {
            "AccessKeyId": "STS.tests-only-id",
            "AccessKeySecret": "tests-only-role-secret",
            "SecurityToken": "tests-only-role-token",
            "Expiration": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 21600)),
            "LastUpdated": "2026-11-23T00:00:00Z",
            "Code": "Success",
        }
        self.requests = []
        self.answers = {}
        self.endpoint = ""

    def answer(self, handler):
        """Answer one request as the service does."""
        if handler.path == "/latest/api/token":
            if handler.command != "PUT":
                return 405, ""
            return 200, "metadata-token"
        if handler.headers.get("X-aliyun-ecs-metadata-token") != "metadata-token":
            return 403, ""
        if handler.path == ROLES:
            return (200, self.role) if self.role else (404, "<html>404 Not Found</html>")
        if handler.path == ROLES + str(self.role):
            return 200, json.dumps(self.key)
        return 404, "<html>404 Not Found</html>"


@contextlib.contextmanager
def serving():
    """Serve on a free port."""
    service = MetadataService()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            header = self.headers.get("X-aliyun-ecs-metadata-token")
            life = self.headers.get("X-aliyun-ecs-metadata-token-ttl-seconds")
            service.requests.append((self.command, self.path, header or life))
            instead = service.answers.get(self.path)
            answer = instead(self) if instead else service.answer(self)
            if answer is None:
                return
            body = answer[1].encode("utf-8")
            self.send_response(answer[0])
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_PUT = do_GET

        def log_message(self, *arguments):
            pass

    class Server(ThreadingMixIn, HTTPServer):
        daemon_threads = True

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    service.endpoint = "http://127.0.0.1:%d" % server.server_address[1]
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
