"""`check` finds each fault it is meant to find, says what to do, and leaves nothing behind."""

import base64
import json
import os
import re
import signal
import socket
import subprocess
import sys
import types
import uuid
from datetime import timedelta

import local_server
import pytest
import tls_front
from sentry_tablestore.credentials import provider as provider_module
from sentry_tablestore.credentials import rotation
from sentry_tablestore.kvstore.tablestore import TablestoreKVStorage

DAY = timedelta(days=1)
OPERATIONS = ["PutRow", "GetRow", "BatchWriteRow", "BatchGetRow", "GetRange", "DeleteRow"]


class Found:
    """The outcomes of a run, by the names of the checks."""

    def __init__(self, done):
        self.status = done.status
        self.outcomes = {one["name"]: one for one in done.json()["checks"]}
        assert done.stderr == ""
        assert done.json()["ok"] == (done.status == 0) == (self.failed == [])

    def __getitem__(self, name):
        return self.outcomes[name]

    def names(self, status):
        return [name for name, one in self.outcomes.items() if one["status"] == status]

    @property
    def failed(self):
        return self.names("failed")

    @property
    def warned(self):
        return self.names("warning")


@pytest.fixture
def prepared(make_store):
    """The name of a table that is there, in which a check must leave nothing."""
    name = "t_" + uuid.uuid4().hex
    store = make_store(table=name)
    store.bootstrap(automatic_expiry=False)
    yield name
    assert store.scan() == ([], None), "nodes are left"
    store.destroy()  # an instance has no more than 64


@pytest.fixture
def check(bare, server, prepared, tmp_path):
    """Run the check with options for the prepared table, and these over them."""

    def run(*arguments, **options):
        path = tmp_path / "check.json"
        path.write_text(json.dumps(server.client_options(**dict({"table": prepared}, **options))))
        return Found(bare("--options", path, "check", "--json", *arguments))

    return run


def forbid(*operations):
    return [
        {"operation": name, "code": "OTSNoPermissionAccess", "count": -1} for name in operations
    ]


def test_a_healthy_server(check):
    found = check()
    assert (found.status, found.failed, found.warned) == (0, [], [])
    assert set(found.names("skipped")) == {"certificate", "bootstrap"}
    for name in OPERATIONS:
        assert found[name]["milliseconds"] > 0


def test_a_large_node(check, server):
    with server.failing({"operation": "UpdateRow", "action": "delay", "count": -1}):
        assert check("--large").status == 0
        assert server.hits()[0] > 2
    with server.failing(*forbid("UpdateRow")):
        found = check("--large")
    assert found.failed == ["UpdateRow"]
    assert "ots:UpdateRow" in found["UpdateRow"]["advice"]


def test_the_text_says_the_same(bare, options_file):
    done = bare("--options", options_file(), "check")
    assert done.status == 0
    assert done.stdout.splitlines()[-1] == "All is well."
    assert "ok    PutRow" in done.stdout


def test_wrong_options(check):
    found = check(timout=3)
    assert found.failed == ["options"]
    assert "did you mean 'timeout'?" in found["options"]["message"]
    assert set(OPERATIONS) < set(found.names("skipped"))


def test_no_such_name(check):
    found = check(end_point="http://nowhere.invalid")
    assert found.failed == ["name"]
    assert "nowhere.invalid cannot be resolved" in found["name"]["message"]
    assert set(OPERATIONS) < set(found.names("skipped"))


@pytest.mark.parametrize("host", ["nohost..example", 64 * "a" + ".example"])
def test_an_impossible_name(check, host):
    found = check(end_point=f"http://{host}")
    assert found.failed == ["options"]
    assert "end_point has no valid host" in found["options"]["message"]


def test_a_name_that_python_cannot_encode(check, monkeypatch):
    def resolve(host, *arguments, **others):
        raise UnicodeError("label empty or too long")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    found = check(end_point="http://nowhere.invalid")
    assert found.failed == ["name"]
    assert "label empty or too long" in found["name"]["message"]


def test_a_port_where_nobody_listens(check):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refuses connections
        port = taken.getsockname()[1]
        found = check(end_point=f"http://127.0.0.1:{port}")
    assert found.failed == ["connection"]
    assert "refused" in found["connection"]["message"]


def test_a_server_that_says_nothing(check):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(1)
        port = silent.getsockname()[1]
        found = check(end_point=f"http://127.0.0.1:{port}", timeout=0.2)
    assert found.failed == ["service"]
    assert "timed out" in found["service"]["message"]


def test_another_server(check, tmp_path):
    command = [sys.executable, "-u", "-m", "http.server", "--bind", "127.0.0.1", "0"]
    with subprocess.Popen(
        command, cwd=str(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as web:
        port = int(web.stdout.readline().split(b"port ")[1].split()[0])
        found = check(end_point=f"http://127.0.0.1:{port}")
        web.kill()
    assert found.failed == ["service"]
    assert "is no Tablestore (HTTP 501, SimpleHTTP" in found["service"]["message"]


def test_https_where_http_is_spoken(check, server):
    found = check(end_point=server.end_point.replace("http:", "https:"))
    assert found.failed == ["certificate"]
    assert "does not speak TLS" in found["certificate"]["message"]


@pytest.fixture
def check_tls(server, table, certificates, tmp_path):
    """Run the check through TLS, in a process of its own: Go reads trusted certificates once."""

    def run(certificate, trusted="trusted.pem", **options):
        port = int(server.end_point.rsplit(":", 1)[1])
        with tls_front.serving(str(certificates / certificate), port) as front:
            path = tmp_path / "tls.json"
            given = {"end_point": f"https://127.0.0.1:{front}", "table": table}
            path.write_text(json.dumps(server.client_options(**dict(given, **options))))
            environment = dict(os.environ, SSL_CERT_FILE=str(certificates / trusted))
            environment["PYTHONPATH"] = os.path.join(local_server.REPOSITORY, "python")
            start = "from sentry_tablestore.cli.main import main; main()"
            done = subprocess.run(
                [sys.executable, "-c", start, "--options", str(path), "check", "--json"],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                universal_newlines=True,
                env=environment,
            )
        assert done.stderr == ""
        return {one["name"]: one for one in json.loads(done.stdout)["checks"]}

    return run


def failed(found):
    return [name for name, one in found.items() if one["status"] == "failed"]


def test_a_right_certificate(check_tls):
    found = check_tls("right.pem")
    assert failed(found) == []
    assert found["certificate"]["status"] == "ok"
    assert "valid for 90 days more" in found["certificate"]["message"]


def test_a_certificate_that_expires_soon(check_tls):
    found = check_tls("soon.pem")
    assert failed(found) == []
    assert found["certificate"]["status"] == "warning"
    assert "valid for 7 days more" in found["certificate"]["message"]


@pytest.mark.parametrize(
    ("certificate", "said"),
    [
        ("expired.pem", "the certificate of 127.0.0.1 has expired"),
        ("elsewhere.pem", "the certificate is not for 127.0.0.1"),
        ("unknown.pem", "the certificate of 127.0.0.1 is not trusted"),
        ("self-signed.pem", "the certificate of 127.0.0.1 is not trusted"),
    ],
)
def test_a_wrong_certificate(check_tls, certificate, said):
    found = check_tls(certificate)
    assert failed(found) == ["certificate"]
    if sys.version_info < (3, 7) and "not for" not in said:
        said = "the certificate of 127.0.0.1 is not trusted, or has expired"
    assert said in found["certificate"]["message"]
    assert found["PutRow"]["status"] == "skipped"


def test_a_machine_that_trusts_nobody(check_tls):
    found = check_tls("right.pem", trusted="not-there.pem")
    assert failed(found) == ["certificate"]
    assert "is not trusted" in found["certificate"]["message"]


@pytest.mark.parametrize(
    ("ahead", "status"), [(10, "ok"), (-10, "ok"), (90, "warning"), (-90, "warning")]
)
def test_a_clock_that_is_off(bare, tmp_path, ahead, status):
    with local_server.serving() as own:
        TablestoreKVStorage("sentry", "nodestore", own.client_options()).bootstrap(
            automatic_expiry=False
        )
        own.advance(timedelta(seconds=-ahead))
        path = tmp_path / "clock.json"
        path.write_text(json.dumps(own.client_options()))
        found = Found(bare("--options", path, "check", "--json"))
    assert found.failed == []
    assert found["clock"]["status"] == status
    assert ("ahead of" if ahead > 0 else "behind") in found["clock"]["message"]
    told = float(re.search(r"is ([\d.]+) s ", found["clock"]["message"]).group(1))
    assert abs(told - abs(ahead)) < 5  # as long as a busy machine may take over it


def test_a_clock_that_the_service_does_not_take(bare, tmp_path):
    with local_server.serving() as own:
        own.advance(timedelta(hours=1))
        path = tmp_path / "clock.json"
        path.write_text(json.dumps(own.client_options()))
        found = Found(bare("--options", path, "check", "--json"))
    assert found.failed == ["clock", "credentials"]
    assert "Mismatch between system time" in found["credentials"]["message"]
    for name in found.failed:
        assert "Set this machine's clock" in found[name]["advice"]


@pytest.mark.parametrize(
    ("option", "advice"),
    [
        ("access_key_id", "Correct the option access_key_id"),
        ("access_key_secret", "Correct the option access_key_secret"),
        ("instance", "Correct the option instance, now 'wrong'"),
    ],
)
def test_wrong_credentials(check, option, advice):
    found = check(**{option: "wrong"})
    assert found.failed == ["credentials"]
    assert advice in found["credentials"]["advice"]
    assert set(OPERATIONS) < set(found.names("skipped"))


@pytest.mark.parametrize(
    ("variable", "advice"),
    [
        ("ALIBABA_CLOUD_ACCESS_KEY_ID", "Correct ALIBABA_CLOUD_ACCESS_KEY_ID in the environment"),
        (
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
            "Correct ALIBABA_CLOUD_ACCESS_KEY_SECRET in the environment, or the option region.",
        ),
    ],
)
def test_wrong_credentials_of_the_environment(check, monkeypatch, variable, advice):
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", local_server.KEY_ID)
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", local_server.KEY_SECRET)
    monkeypatch.setenv(variable, "wrong")
    found = check(access_key_id=None, access_key_secret=None)
    assert found.failed == ["credentials"]
    assert advice in found["credentials"]["advice"]


@pytest.fixture
def check_provided(check, monkeypatch):
    """Run the check with credentials from a provider that is called so."""

    def run(provider):
        module = types.ModuleType("vault")
        module.key = provider
        monkeypatch.setitem(sys.modules, "vault", module)
        # The answer of an earlier one is kept by its name.
        monkeypatch.setattr(rotation, "_rotations", {})
        monkeypatch.setattr(provider_module, "_loaded", {})
        return check(access_key_id=None, access_key_secret=None, credentials_provider="vault.key")

    return run


def test_a_provider_without_credentials(check_provided):
    def key():
        raise RuntimeError("vault is sealed")

    found = check_provided(key)
    assert found.failed == ["credentials"]
    told = found["credentials"]
    assert "credentials_provider vault.key: RuntimeError: vault is sealed" in told["message"]
    assert told["advice"] == "Nothing was sent: mend the provider, or name another in that option."
    assert found["table"]["message"] == "there are no credentials"


@pytest.mark.parametrize(
    ("key", "advice"),
    [
        (
            ("wrong", local_server.KEY_SECRET),
            "Correct the access_key_id that credentials_provider vault.key gives; a temporary key "
            "also needs the sts_token that credentials_provider vault.key gives.",
        ),
        (
            (local_server.KEY_ID, "tests-only-wrong-secret"),
            "Correct the access_key_secret that credentials_provider vault.key gives, or the "
            "option region.",
        ),
    ],
)
def test_wrong_credentials_of_a_provider(check_provided, key, advice):
    found = check_provided(lambda: key)
    assert found.failed == ["credentials"]
    assert found["credentials"]["advice"] == advice
    assert found["table"]["message"] == "the service does not take the credentials"


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_that_is_not_allowed(check, server, prepared, operation):
    with server.failing(*forbid(operation)):
        found = check()
    assert found.failed == [operation]
    assert found[operation]["advice"] == (
        f"Allow the access key the RAM action ots:{operation} on "
        f"acs:ots:*:*:instance/sentry/table/{prepared}."
    )


def test_a_table_that_may_not_be_described(check, server):
    with server.failing(*forbid("DescribeTable")):
        found = check()
    assert found.failed == ["DescribeTable"]
    assert "ots:DescribeTable" in found["DescribeTable"]["advice"]
    assert found["credentials"]["status"] == "ok"
    assert found["time to live"]["status"] == "skipped"
    assert found["PutRow"]["status"] == "ok"


def test_nodes_that_may_not_be_deleted_are_named_and_hidden(check, server, prepared, make_store):
    with server.failing(*forbid("DeleteRow"), {**forbid("BatchWriteRow")[0], "skip": 1}):
        found = check()
    assert found.failed == ["DeleteRow", "removal"]
    left = make_store(table=prepared).scan()[0]
    assert len(left) == 3
    for node in left:
        assert node.id in found["removal"]["message"]
        assert 0 < node.expires - node.written <= 10 * 60 * 1000 + 1000
    make_store(table=prepared).delete_many([node.id for node in left])


@pytest.mark.parametrize(
    ("operation", "body", "said"),
    [
        # Answers of the protocol: no row, no rows and no next id, a deletion that was done.
        ("GetRow", "0a060a04080110001200", "gave nothing where b'{"),
        ("GetRange", "0a060a0408011000120028003000", "gave nothing where 'sentry-tablestore-check"),
        ("DeleteRow", "0a060a0408001001", "the deleted node is still there"),
    ],
)
def test_an_answer_that_is_not_what_was_done(check, server, operation, body, said):
    body = base64.b64encode(bytes.fromhex(body)).decode("ascii")
    rule = {"operation": operation, "action": "raw", "body_base64": body, "count": 1}
    with server.failing(rule):
        found = check()
        assert server.hits() == [1]
    assert found.failed == [operation]
    assert said in found[operation]["message"]


def test_an_interrupted_check_leaves_nothing(server, prepared, make_store, tmp_path):
    path = tmp_path / "interrupted.json"
    path.write_text(json.dumps(server.client_options(table=prepared)))
    environment = dict(os.environ, PYTHONPATH=os.path.join(local_server.REPOSITORY, "python"))
    start = "from sentry_tablestore.cli.main import main; main()"
    command = [sys.executable, "-c", start, "--options", str(path), "check"]
    slow = {"operation": "BatchGetRow", "delay_ms": 20000, "count": -1}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with server.failing(slow), subprocess.Popen(command, env=environment, **pipes) as process:
        while not server.hits()[0]:
            assert process.poll() is None
        assert len(make_store(table=prepared).scan()[0]) == 3
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
        assert process.wait() == 130
    assert b"Traceback" not in said
    assert make_store(table=prepared).scan()[0] == []


def test_a_missing_table(check):
    found = check(table="not_there")
    assert found.failed == ["table"]
    assert "sentry-tablestore bootstrap" in found["table"]["advice"]
    assert found["credentials"]["status"] == "ok"


@pytest.mark.skipif(sys.version_info < (3, 9), reason="the SDK's program needs a newer CPython")
def test_a_table_of_another_program(check, sdk, make_store):
    sdk.create("another_programs", [["key", "INTEGER"], ["id", "STRING"]])
    found = check(table="another_programs")
    make_store(table="another_programs").destroy()
    assert found.failed == ["primary key"]
    assert "is key INTEGER, id STRING, not" in found["primary key"]["message"]
    assert found["PutRow"]["status"] == "skipped"


@pytest.mark.skipif(sys.version_info < (3, 9), reason="the SDK's program needs a newer CPython")
def test_options_of_a_table_that_somebody_else_made(check, sdk, make_store):
    sdk.create("made_by_hand", [["id", "STRING"]], 3)
    found = check(table="made_by_hand")
    make_store(table="made_by_hand").destroy()
    assert (found.failed, found.warned) == ([], ["versions", "write times"])
    assert "3 versions" in found["versions"]["message"]
    assert "more than 1 day ago" in found["write times"]["message"]


@pytest.mark.parametrize(
    ("table_days", "options", "status", "said"),
    [
        (None, {}, "ok", "for ever"),
        (None, {"default_ttl": "30d"}, "ok", "reads hide them after 30 days"),
        (30, {"default_ttl": "30d", "automatic_expiry": True}, "ok", "keeps nodes 30 days"),
        (30, {"default_ttl": "90d", "automatic_expiry": True}, "failed", "default_ttl says 90"),
        (None, {"default_ttl": "90d", "automatic_expiry": True}, "failed", "keeps nodes for ever"),
        (30, {}, "failed", "drops nodes after 30 days, and the options say for ever"),
        (30, {"default_ttl": "90d"}, "failed", "drops nodes after 30 days, and the options say 90"),
        (30, {"default_ttl": "7d"}, "warning", "automatic_expiry is off"),
    ],
)
def test_the_time_to_live(check, make_store, prepared, table_days, options, status, said):
    kept = {"default_ttl": table_days * DAY} if table_days else {}
    make_store(table=prepared, **kept).bootstrap(automatic_expiry=bool(table_days))
    found = check(**options)
    assert found["time to live"]["status"] == status
    assert said in found["time to live"]["message"]
    if status == "failed":
        assert "bootstrap" in found["time to live"]["advice"]


def test_a_throttled_table(check, server):
    rule = {"operation": "PutRow", "code": "OTSNotEnoughCapacityUnit", "count": -1}
    with server.failing(rule):
        found = check(timeout=0.2)
    assert found.failed == ["PutRow"]
    assert "OTSNotEnoughCapacityUnit" in found["PutRow"]["message"]
    assert "capacity" in found["PutRow"]["advice"]
    assert found["DeleteRow"]["status"] == "skipped"


def test_answers_that_are_altered_on_the_way(check, server):
    with server.failing({"operation": "GetRow", "action": "corrupt_body", "count": -1}):
        found = check(timeout=0.2)
    assert "GetRow" in found.failed
    assert "proxy" in found["GetRow"]["advice"]


def test_a_plain_http_end_point_elsewhere_is_warned_of(check):
    found = check(end_point="http://nowhere.invalid")
    assert found.warned == ["options"]
    assert "https://" in found["options"]["advice"]


def test_no_credential_is_shown(bare, options_file):
    for secret in (local_server.KEY_SECRET, "tests-only-wrong-secret"):
        for more in ([], ["--json"]):
            path = options_file(access_key_secret=secret, sts_token="tests-only-token")
            done = bare("-v", "--options", path, "check", *more)
            assert secret not in done.stdout + done.stderr
            assert "tests-only-token" not in done.stdout + done.stderr
