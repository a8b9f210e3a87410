"""The provider of credentials that a page shows works as it stands, with a stand-in for Vault."""

import http.server
import json
import os
import subprocess
import sys
import threading

import local_server
import pytest
from pages import REPOSITORY, blocks

TOKEN = "tests-only-vault-token"

# As Sentry does: its settings are run, and the backend is made of what they hold.
PROGRAM = """
import sys
settings = {}
exec(open(sys.argv[1]).read(), settings)
from sentry_tablestore.nodestore.backend import TablestoreNodeStorage
backend = TablestoreNodeStorage(**settings["SENTRY_NODESTORE_OPTIONS"])
backend.validate()
print(backend.store.get("none"))
"""


class Vault(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        right = self.headers["X-Vault-Token"] == TOKEN
        self.send_response(200 if right and self.path == "/v1/alicloud/creds/sentry" else 403)
        self.end_headers()
        data = {
            "access_key": local_server.KEY_ID,
            "secret_key": local_server.KEY_SECRET,
            "security_token": "tests-only-token",
            "expiration": "2999-01-01T00:00:00Z",
        }
        self.wfile.write(json.dumps({"lease_id": "x", "data": data}).encode("ascii"))

    def log_message(self, *arguments):
        pass


@pytest.fixture
def vault():
    with http.server.HTTPServer(("127.0.0.1", 0), Vault) as stand_in:
        thread = threading.Thread(target=stand_in.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{stand_in.server_port}"
        stand_in.shutdown()
        thread.join()


def test_the_provider_for_vault(server, table, vault, tmp_path):
    files = {block.comment[5:]: block for block in blocks() if block.comment.startswith("file ")}
    assert set(files) == {"sentry_vault.py", "sentry.conf.py"}
    for name, block in files.items():
        text = block.code.replace("/etc/sentry'", f"{tmp_path}'")
        text = text.replace(
            "https://sentry-self-hosted.cn-shanghai.vpc.tablestore.aliyuncs.com", "E"
        )
        text = text.replace("'E',", f"'{server.end_point}', 'table': '{table}',")
        (tmp_path / name).write_text(text, encoding="utf-8")
    stand_ins = REPOSITORY / "tests" / "stand_ins"
    path = [REPOSITORY / "python", stand_ins / "newest", stand_ins / "shared"]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "sentry.conf.py")],
        env=dict(
            os.environ,
            PYTHONPATH=os.pathsep.join(map(str, path)),
            VAULT_ADDR=vault,
            VAULT_TOKEN=TOKEN,
        ),
        cwd="/",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
    )
    assert (done.returncode, done.stdout) == (0, "None\n")
