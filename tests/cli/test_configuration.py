"""Where the options come from, which place wins, and how wrong ones are refused."""

import json
import os
import signal
import subprocess
import sys
import types
from datetime import timedelta

import local_server
import pytest
from sentry_tablestore.cli.configuration import Configuration, duration, from_environment
from sentry_tablestore.errors import TablestoreOptionsError


@pytest.fixture
def credentials(monkeypatch):
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", local_server.KEY_ID)
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", local_server.KEY_SECRET)


def test_a_file(bare, options_file, store, new_id):
    key = new_id()
    store.set(key, b"{}")
    assert bare("--options", options_file(), "get", key).stdout == "{}\n"


def test_a_file_named_by_the_environment(bare, options_file, store, new_id, monkeypatch):
    monkeypatch.setenv("SENTRY_TABLESTORE_OPTIONS", options_file())
    key = new_id()
    store.set(key, b"{}")
    assert bare("get", key).stdout == "{}\n"


def test_arguments_before_and_after_the_command(bare, server, table, store, new_id, credentials):
    key = new_id()
    store.set(key, b"{}")
    done = bare("--end-point", server.end_point, "get", key, "--table", table)
    assert (done.status, done.stdout) == (0, "{}\n")


def test_the_environment(bare, server, table, store, new_id, credentials, monkeypatch):
    monkeypatch.setenv("SENTRY_TABLESTORE_END_POINT", server.end_point)
    monkeypatch.setenv("SENTRY_TABLESTORE_TABLE", table)
    key = new_id()
    store.set(key, b"{}")
    assert bare("get", key).stdout == "{}\n"


def test_arguments_win_over_the_environment_and_that_over_the_file(
    bare, options_file, table, monkeypatch
):
    path = options_file(table="of_the_file")
    wrong = bare("--options", path, "get", "x")
    assert "'of_the_file'" in wrong.stderr
    monkeypatch.setenv("SENTRY_TABLESTORE_TABLE", "of_the_environment")
    wrong = bare("--options", path, "get", "x")
    assert "'of_the_environment'" in wrong.stderr
    right = bare("--options", path, "get", "x", "--table", table)
    assert right.stderr == f"Error: there is no node 'x' in table '{table}'\n"


PROVIDER = "test_configuration_keys.given"


@pytest.fixture
def provider(monkeypatch):
    """A provider of the server's key that commands can import, and that counts its calls."""
    module = types.ModuleType(PROVIDER.split(".")[0])
    module.calls = []

    def given():
        module.calls.append(1)
        return local_server.KEY_ID, local_server.KEY_SECRET

    module.given = given
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


def test_a_key_of_the_environment_replaces_a_provider_and_its_own_token(
    bare, options_file, provider, monkeypatch
):
    monkeypatch.setenv("SENTRY_TABLESTORE_ACCESS_KEY_ID", local_server.KEY_ID)
    monkeypatch.setenv("SENTRY_TABLESTORE_ACCESS_KEY_SECRET", local_server.KEY_SECRET)
    provided = options_file(
        access_key_id=None, access_key_secret=None, credentials_provider=PROVIDER
    )
    assert "there is no node 'x'" in bare("--options", provided, "get", "x").stderr
    assert provider.calls == []
    temporary = options_file(access_key_id="another", sts_token="tests-only-token")
    configuration = Configuration()
    configuration.arguments["options"] = temporary
    engines = json.loads(configuration.store().options.to_engine(False).reveal())
    assert engines["sts_token"] == ""


def test_half_a_key_of_the_environment_replaces_nothing_of_another(bare, options_file, monkeypatch):
    """The secret of one key never goes with the id of another."""
    monkeypatch.setenv("SENTRY_TABLESTORE_ACCESS_KEY_ID", local_server.KEY_ID)
    done = bare("--options", options_file(access_key_id="another"), "get", "x")
    assert "missing option access_key_secret" in done.stderr


def test_a_provider_of_the_environment_replaces_a_key(bare, options_file, provider, monkeypatch):
    monkeypatch.setenv("SENTRY_TABLESTORE_CREDENTIALS_PROVIDER", PROVIDER)
    path = options_file(access_key_id="wrong", access_key_secret="wrong", sts_token="wrong")
    assert "there is no node 'x'" in bare("--options", path, "get", "x").stderr
    assert provider.calls == [1]


def test_a_key_and_a_provider_of_the_environment_are_refused(bare, options_file, monkeypatch):
    monkeypatch.setenv("SENTRY_TABLESTORE_CREDENTIALS_PROVIDER", "ecs_ram_role")
    monkeypatch.setenv("SENTRY_TABLESTORE_ACCESS_KEY_ID", local_server.KEY_ID)
    done = bare("--options", options_file(), "get", "x")
    assert "access_key_id and credentials_provider are both given" in done.stderr


def test_every_type_of_option_in_the_environment():
    given = {
        "SENTRY_TABLESTORE_DEFAULT_TTL": "90d",
        "SENTRY_TABLESTORE_AUTOMATIC_EXPIRY": "true",
        "SENTRY_TABLESTORE_COMPRESSION": "zstd",
        "SENTRY_TABLESTORE_TIMEOUT": "2.5",
        "SENTRY_TABLESTORE_MAX_CONNECTION": "8",
        "SENTRY_TABLESTORE_RESERVED_THROUGHPUT": "1,2",
        "SENTRY_TABLESTORE_OPTIONS": "a file",
        "SENTRY_TABLESTORE_PORT_8087_TCP": "a link of a container to another",
        "SENTRY_TABLESTORE_REGION": "",
    }
    assert from_environment(given) == {
        "default_ttl": timedelta(days=90),
        "automatic_expiry": True,
        "compression": "zstd",
        "timeout": 2.5,
        "max_connection": 8,
        "reserved_throughput": [1, 2],
    }


@pytest.mark.parametrize(
    ("variable", "text", "said"),
    [
        ("ENDPOINT", "http://x", "did you mean SENTRY_TABLESTORE_END_POINT?"),
        ("AUTOMATIC_EXPIRY", "maybe", "must be true or false, not 'maybe'"),
        ("DEFAULT_TTL", "90", "must be a number with its unit"),
        ("TIMEOUT", "soon", "timeout must be seconds"),
        ("RESERVED_THROUGHPUT", "1", "reserved_throughput must be two ints"),
    ],
)
def test_a_wrong_variable_is_named(bare, options_file, monkeypatch, variable, text, said):
    monkeypatch.setenv("SENTRY_TABLESTORE_" + variable, text)
    done = bare("--options", options_file(), "get", "x")
    assert done.status == 1
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1
    assert said in done.stderr


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90d", timedelta(days=90)),
        ("1.5 h", timedelta(minutes=90)),
        ("2w", timedelta(days=14)),
        ("30m", timedelta(minutes=30)),
        ("10s", timedelta(seconds=10)),
    ],
)
def test_a_duration(text, expected):
    assert duration("default_ttl", text) == expected


@pytest.mark.parametrize("text", ["90", 90, "d", "90 years", "-1d", True, None])
def test_no_duration(text):
    with pytest.raises(TablestoreOptionsError, match="default_ttl must be a number with its unit"):
        duration("default_ttl", text)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file"),
        ("{", "holds no JSON"),
        ("[]", "must hold a JSON object"),
        ('{"tabel": "x"}', "did you mean 'table'?"),
        ('{"default_ttl": 90}', "must be a number with its unit"),
        ('{"end_point": "http://127.0.0.1:1"}', "missing option access_key_id"),
    ],
)
def test_a_wrong_file_is_refused(bare, tmp_path, content, said):
    path = tmp_path / "wrong.json"
    if content is not None:
        path.write_text(content)
    done = bare("--options", path, "get", "x")
    assert (done.status, done.stdout) == (1, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_without_any_place_it_says_what_there_is(bare):
    done = bare("get", "x")
    assert done.status == 1
    assert "--config" in done.stderr
    assert "--options" in done.stderr
    assert "--end-point" in done.stderr


def test_no_sentry_in_this_environment(bare):
    done = bare("--config", "/etc/sentry", "get", "x")
    assert done.status == 1
    assert "has no Sentry" in done.stderr


def test_no_secret_is_shown(bare, options_file):
    secret = "tests-only-secret-of-a-file"
    done = bare("-v", "--options", options_file(access_key_secret=secret), "get", "x")
    assert done.status == 1
    assert "Signature mismatch" in done.stderr
    assert secret not in done.stderr


def test_metrics_are_not_told_of_commands_but_looked_at(bare, options_file, tmp_path):
    """A file of Sentry's sums is that of Sentry's user, and a command's calls are not Sentry's."""
    path = tmp_path / "a.prom"
    done = bare("--options", options_file(metrics=f"textfile:{path}"), "get", "x")
    assert "there is no node 'x'" in done.stderr
    assert [name for name in os.listdir(str(tmp_path)) if "prom" in name] == []
    done = bare("--options", options_file(metrics="not.there"), "check")
    assert done.status == 1
    assert "FAIL  options         metrics 'not.there' cannot be imported" in done.stdout


def test_verbose_tells_of_requests(options_file):
    done = program("-v", "--options", options_file(), "get", "x")
    assert "tablestore-client: " in done.stderr
    assert "GetRow" in done.stderr


def test_a_failed_call_is_told_once(options_file):
    done = program("--options", options_file(table="not_there"), "get", "x")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: get on table 'not_there': ")
    assert done.stderr.count("\n") == 1


def test_a_broken_pipe_ends_it_quietly(options_file, store, new_id):
    key = new_id()
    store.set(key, json.dumps(["x" * 1000] * 20000).encode("ascii"))
    with subprocess.Popen(
        command("--options", options_file(), "get", key),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdout.read(1)
        process.stdout.close()
        said = process.stderr.read()
        assert process.wait() == 141
    assert said == b""


def test_an_interruption_ends_it_quietly(server, options_file):
    rule = {"operation": "GetRow", "delay_ms": 20000, "count": -1}
    started = command("-v", "--options", options_file(), "get", "x")
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with server.failing(rule), subprocess.Popen(started, **pipes) as process:
        while not server.hits()[0]:
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
        assert process.wait() == 130
    assert b"Traceback" not in said


def test_a_configuration_without_a_command(options_file, table):
    """As the commands of others use it."""
    configuration = Configuration()
    configuration.arguments["options"] = options_file()
    assert configuration.store().table_name == table
    assert configuration.store() is configuration.store()
    assert not configuration.is_sentrys()


def command(*arguments):
    start = "from sentry_tablestore.cli.main import main; main(prog_name='sentry-tablestore')"
    return [sys.executable, "-c", start, *arguments]


def program(*arguments):
    return subprocess.run(
        command(*arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
    )


@pytest.fixture(autouse=True)
def _package_on_the_path(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.path.join(local_server.REPOSITORY, "python"))
