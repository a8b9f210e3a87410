"""What the options take, and what they refuse before anything is started."""

import logging
import os
from datetime import timedelta

import pytest
from sentry_tablestore import options
from sentry_tablestore.errors import TablestoreOptionsError
from sentry_tablestore.kvstore.tablestore import TablestoreKVStorage
from sentry_tablestore.options import Options

DAY = timedelta(days=1)
VARIABLES = (options.KEY_ID_VARIABLE, options.KEY_SECRET_VARIABLE, options.TOKEN_VARIABLE)


@pytest.fixture(autouse=True)
def _no_keys_in_the_environment(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(options, "_warned", set())


def make(**given):
    return Options(
        {
            "end_point": "https://127.0.0.1:8087",
            "access_key_id": "the-key-id",
            "access_key_secret": "tests-only-key-secret",
            **given,
        }
    )


def refused(match, **given):
    with pytest.raises(TablestoreOptionsError, match=match) as caught:
        make(**given)
    assert isinstance(caught.value, ValueError)
    return str(caught.value)


def engine_options(made, automatic_expiry=False):
    import json

    return json.loads(made.to_engine(automatic_expiry).reveal())


def test_what_the_engine_gets_by_default():
    assert engine_options(make()) == {
        "end_point": "https://127.0.0.1:8087",
        "instance": "sentry",
        "table": "nodestore",
        "access_key_id": "the-key-id",
        "access_key_secret": "tests-only-key-secret",
        "sts_token": "",
        "credentials_from": "",
        "region": "",
        "default_ttl_ms": 0,
        "automatic_expiry": False,
        "compression": "",
        "timeout_ms": 10000,
        "max_connection": 64,
        "reserved_read": 0,
        "reserved_write": 0,
    }


def test_what_the_engine_gets_of_every_option():
    made = make(
        instance="events",
        table="nodes_2",
        sts_token="tests-only-token",
        region="cn-hangzhou",
        default_ttl=timedelta(days=30),
        automatic_expiry=True,
        compression="zstd",
        timeout=2.5,
        max_connection=7,
        reserved_throughput=(3, 4),
    )
    got = engine_options(made, automatic_expiry=True)
    expected = {
        "instance": "events",
        "table": "nodes_2",
        "sts_token": "tests-only-token",
        "region": "cn-hangzhou",
        "default_ttl_ms": 30 * 86400 * 1000,
        "automatic_expiry": True,
        "compression": "zstd",
        "timeout_ms": 2500,
        "max_connection": 7,
        "reserved_read": 3,
        "reserved_write": 4,
    }
    assert {name: got[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("endpoint", "end_point"),
        ("end_points", "end_point"),
        ("acess_key_id", "access_key_id"),
        ("access_secret", "access_key_secret"),
        ("instance_name", "instance"),
        ("default_tll", "default_ttl"),
        ("compresion", "compression"),
        ("max_connections", "max_connection"),
        ("table_name", "table"),
    ],
)
def test_an_unknown_option_suggests_the_nearest(wrong, right):
    refused(f"unknown option '{wrong}'.*did you mean '{right}'", **{wrong: 1})


def test_an_unknown_option_with_none_near_lists_all():
    assert "end_point, instance, table" in refused("unknown option 'zzz'", zzz=1)


PLAIN = "is plain http: whoever is on the way reads all events"


@pytest.mark.parametrize(
    "end_point",
    [
        "http://sentry.cn-hangzhou.ots.aliyuncs.com",
        "http://sentry.cn-hangzhou.vpc.tablestore.aliyuncs.com",
        "HTTP://tables.example.com:8087",
        "http://8.8.8.8",
        "http://[2606:4700::1111]:8087",
        "http://10.0.0.1.example.com",
        "http://localhost.example.com",
    ],
)
def test_plain_http_where_others_can_read_it_is_warned_of_once(caplog, end_point):
    for _ in range(3):
        make(end_point=end_point)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert PLAIN in record.getMessage()
    assert "Use https://" in record.getMessage()


@pytest.mark.parametrize(
    "end_point",
    [
        "https://sentry.cn-hangzhou.ots.aliyuncs.com",
        "https://8.8.8.8",
        "http://127.0.0.1:8087",
        "http://127.8.9.1:8087",
        "http://localhost:8087",
        "http://[::1]:8087",
        "http://10.1.2.3:8087",
        "http://172.18.0.2:8087",
        "http://192.168.1.5",
        "http://tablestore:8087",
        "http://tablestore.sentry.svc:8087",
        "http://tablestore.sentry.svc.cluster.local:8087",
    ],
)
def test_what_nobody_else_can_read_is_not_warned_of(caplog, end_point):
    make(end_point=end_point)
    assert caplog.records == []


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("http://127.0.0.1:8087", "http://127.0.0.1:8087"),
        ("https://i.cn-hangzhou.ots.aliyuncs.com/", "https://i.cn-hangzhou.ots.aliyuncs.com"),
        ("HTTPS://Host.example", "https://Host.example"),
        ("http://[::1]:8087", "http://[::1]:8087"),
        ("http://localhost", "http://localhost"),
        ("http://table_store:80", "http://table_store:80"),
        ("http://[::ffff:10.0.0.1]", "http://[::ffff:10.0.0.1]"),
        ("http://a." + 63 * "b" + ".example.", "http://a." + 63 * "b" + ".example."),
    ],
)
def test_endpoints(given, kept):
    assert make(end_point=given).end_point == kept


@pytest.mark.parametrize(
    ("given", "match"),
    [
        (None, "missing option end_point"),
        ("", "missing option end_point"),
        (7, "must be a str"),
        ("ots.aliyuncs.com", "must begin with http"),
        ("127.0.0.1:8087", "must begin with http"),
        ("ftp://host", "must begin with http"),
        ("https:host", "must begin with http"),
        ("https://", "no valid host"),
        ("https://:8087", "no valid host"),
        ("https://ho st", "space"),
        ("https://host\n", "line break"),
        ("https://-host", "no valid host"),
        ("https://ho$t", "no valid host"),
        ("https://host-", "no valid host"),
        ("https://nohost..example", "no valid host"),
        ("https://abc..de", "no valid host"),
        ("https://host..", "no valid host"),
        ("https://.example", "no valid host"),
        ("https://" + 64 * "a" + ".example", "no valid host"),
        ("https://host:port", "port"),
        ("https://host:", "port"),
        ("https://host:0", "port"),
        ("https://host:65536", "port"),
        ("https://host/path", "nothing may follow"),
        ("https://host?query", "nothing may follow"),
        ("https://host/?", "nothing may follow"),
        ("https://host#part", "nothing may follow"),
        ("https://[::1", "address"),
    ],
)
def test_bad_endpoints(given, match):
    refused(match, end_point=given)


@pytest.mark.parametrize(
    "given",
    ["https://me:hunter2@host", "https://hunter2@host", "https://host?key=hunter2", "hunter2://x"],
)
def test_a_bad_endpoint_is_not_repeated(given):
    assert "hunter2" not in refused("end_point", end_point=given)


@pytest.mark.parametrize(
    ("end_point", "instance"),
    [
        ("https://events.cn-hangzhou.ots.aliyuncs.com", "events"),
        ("https://events.cn-hangzhou.tablestore.aliyuncs.com", "events"),
        ("https://events.cn-hangzhou.vpc.tablestore.aliyuncs.com:443", "events"),
        ("https://events.cn-hangzhou.ots-internal.aliyuncs.com", "events"),
        ("https://ots.cn-hangzhou.aliyuncs.com", "sentry"),
        ("https://tablestore.example.com", "sentry"),
        ("https://a.b.ots.aliyuncs.com.example.com", "sentry"),
        ("http://127.0.0.1:8087", "sentry"),
    ],
)
def test_the_instance_of_an_endpoint(end_point, instance):
    assert make(end_point=end_point).instance == instance
    assert make(end_point=end_point, instance="other").instance == "other"


@pytest.mark.parametrize("name", ["sentry", "test", "a", "Events-2"])
def test_instance_names(name):
    assert make(instance=name).instance == name


@pytest.mark.parametrize("name", ["a b", "a\nb", "-a", "a-", "a.b", "a/b", "x" * 65, 7])
def test_bad_instance_names(name):
    refused("instance must be", instance=name)


@pytest.mark.parametrize("name", ["nodestore", "_n", "N0", "x" * 255])
def test_table_names(name):
    assert make(table=name).table == name


@pytest.mark.parametrize("name", ["0n", "a-b", "a b", "t\n", "\u00e9", "x" * 256, 7])
def test_bad_table_names(name):
    refused("table must be", table=name)


def test_missing_keys_are_named_with_their_variables():
    text = refused("missing option", access_key_id=None, access_key_secret="")
    assert all(name in text for name in ("access_key_id", "access_key_secret", *VARIABLES[:2]))
    assert "access_key_id" not in refused(
        "missing option access_key_secret", access_key_secret=None
    )


def test_keys_from_the_environment(monkeypatch):
    for name in VARIABLES:
        monkeypatch.setenv(name, "of-" + name)
    got = engine_options(make(access_key_id=None, access_key_secret=None))
    assert got["access_key_id"] == "of-" + options.KEY_ID_VARIABLE
    assert got["access_key_secret"] == "of-" + options.KEY_SECRET_VARIABLE
    assert got["sts_token"] == "of-" + options.TOKEN_VARIABLE
    # The options go first, and the environment's token is not for their key.
    got = engine_options(make())
    assert (got["access_key_id"], got["sts_token"]) == ("the-key-id", "")


@pytest.mark.parametrize("name", ["access_key_id", "access_key_secret", "sts_token"])
@pytest.mark.parametrize("bad", ["hunter2\n", " hunter2", "hun ter2", "hunter2\u00e9"], ids=ascii)
def test_a_credential_with_a_character_that_none_has(name, bad):
    # Most often a line break from a file. It is refused here, not with a puzzling error of the
    # service.
    text = refused(name, **{name: bad})
    assert "hun" not in text
    refused(f"{name} must be a str", **{name: 7})


def test_a_bad_credential_in_the_environment_names_its_variable(monkeypatch):
    monkeypatch.setenv(options.KEY_ID_VARIABLE, "hunter2\n")
    assert "hunter2" not in refused(options.KEY_ID_VARIABLE, access_key_id=None)


@pytest.mark.parametrize("region", ["cn hangzhou", "cn\n", "x" * 65, 7])
def test_bad_regions(region):
    refused("region must be", region=region)


@pytest.mark.parametrize(
    "ttl", [timedelta(milliseconds=1), timedelta(hours=1), timedelta(days=99999)]
)
def test_any_ttl_without_automatic_expiry(ttl):
    assert make(default_ttl=ttl).default_ttl == ttl


@pytest.mark.parametrize("ttl", [timedelta(0), -DAY, timedelta(microseconds=1)])
def test_a_ttl_that_keeps_nothing(ttl):
    refused("default_ttl must be at least", default_ttl=ttl)


@pytest.mark.parametrize("ttl", [86400, "30 days", 1.5, True])
def test_a_ttl_of_another_type(ttl):
    refused("default_ttl must be a datetime.timedelta", default_ttl=ttl)


@pytest.mark.parametrize("ttl", [DAY, timedelta(days=90), timedelta(seconds=2**31 - 1)])
def test_ttls_that_a_table_keeps(ttl):
    assert make(default_ttl=ttl, automatic_expiry=True).default_ttl == ttl


@pytest.mark.parametrize(
    "ttl",
    [
        DAY - timedelta(seconds=1),
        DAY + timedelta(milliseconds=1),
        DAY + timedelta(microseconds=1),
        timedelta(seconds=2**31),
    ],
)
def test_ttls_that_no_table_keeps(ttl):
    refused("whole seconds, at least 86,400", default_ttl=ttl, automatic_expiry=True)


def test_automatic_expiry_needs_a_ttl():
    refused("automatic_expiry needs default_ttl", automatic_expiry=True)
    refused("automatic_expiry must be True or False", automatic_expiry="yes")


@pytest.mark.parametrize(
    ("given", "kept"),
    [(None, ""), (False, ""), (True, "zlib"), ("zlib", "zlib"), ("zstd", "zstd")],
)
def test_compressions(given, kept):
    assert make(compression=given).compression == kept


@pytest.mark.parametrize("given", ["gzip", "", "ZSTD", 1.5, 2, ["zlib"]])
def test_unknown_compressions(given):
    refused("compression must be", compression=given)


def test_the_sdks_socket_timeout_is_taken_for_timeout():
    assert make(socket_timeout=3).timeout == 3
    assert make(socket_timeout=3, timeout=4).timeout == 4
    assert engine_options(make(timeout=0.0001))["timeout_ms"] == 1


@pytest.mark.parametrize("bad", [0, -1, float("nan"), float("inf"), "10", True, 86401])
def test_bad_timeouts(bad):
    refused("timeout must be seconds", timeout=bad)
    refused("socket_timeout must be seconds", socket_timeout=bad)


@pytest.mark.parametrize("bad", [0, -1, 1.5, "10", True, 70000])
def test_bad_max_connections(bad):
    refused("max_connection must be an int", max_connection=bad)


class CapacityUnit:
    def __init__(self, read, write):
        self.read, self.write = read, write


class ReservedThroughput:
    def __init__(self, capacity_unit):
        self.capacity_unit = capacity_unit


@pytest.mark.parametrize("given", [(1, 2), [1, 2], ReservedThroughput(CapacityUnit(1, 2))])
def test_reserved_throughputs(given):
    assert make(reserved_throughput=given).reserved_throughput == (1, 2)


@pytest.mark.parametrize(
    "bad",
    [5, (1,), (1, 2, 3), (-1, 0), (0, 100001), (1.5, 0), ("1", "2"), (True, 0)]
    + [ReservedThroughput(CapacityUnit(None, 1))],
)
def test_bad_reserved_throughputs(bad):
    refused("reserved_throughput must be two ints", reserved_throughput=bad)


def test_the_sdks_other_options_are_named_in_one_warning(caplog):
    given = {"encoding": "utf8", "retry_policy": object(), "ssl_version": 5, "enable_native": None}
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            make(**given)
    (record,) = caplog.records
    assert record.name == "sentry_tablestore.kvstore.tablestore"
    assert record.getMessage().endswith("encoding, retry_policy, ssl_version")


def test_a_missing_key_names_the_provider_as_another_way():
    refused("missing option access_key_id .*or credentials_provider", access_key_id=None)


def test_with_a_provider_the_engine_gets_no_key(monkeypatch):
    monkeypatch.setenv(options.KEY_ID_VARIABLE, "the-environments-id")
    monkeypatch.setenv(options.KEY_SECRET_VARIABLE, "the-environments-secret")
    monkeypatch.setenv(options.TOKEN_VARIABLE, "the-environments-token")
    asked = []
    without_key = {"access_key_id": None, "access_key_secret": None}
    made = make(credentials_provider=lambda: asked.append(1), **without_key)
    got = engine_options(made)
    assert (got["access_key_id"], got["access_key_secret"], got["sts_token"]) == ("", "", "")
    assert got["credentials_from"]
    other = engine_options(make(credentials_provider=lambda: None, **without_key))
    assert other["credentials_from"] != got["credentials_from"]
    assert asked == []


@pytest.mark.parametrize("name", ["access_key_id", "access_key_secret", "sts_token"])
def test_a_key_and_a_provider_are_one_too_many(name):
    given = {"access_key_id": None, "access_key_secret": None, name: "given"}
    refused(
        f"{name} and credentials_provider are both", credentials_provider="ecs_ram_role", **given
    )


def test_a_provider_that_is_none_is_refused_with_the_options():
    refused(
        "credentials_provider must be",
        credentials_provider="ecs",
        access_key_id=None,
        access_key_secret=None,
    )


def test_metrics_may_be_a_callable_a_path_or_a_file(tmp_path):
    def told(operation, seconds, counts, error):
        pass

    assert make().metrics is None
    assert make(metrics=told).metrics is told
    assert make(metrics="os.getpid").metrics is os.getpid
    file = f"textfile:{tmp_path}/sentry.prom"
    assert make(metrics=file).metrics is make(metrics=file).metrics
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "match"),
    [
        (7, "must be a callable"),
        ("statsd", "must be a callable"),
        ("no_such_module.name", "cannot be imported: ModuleNotFoundError"),
        ("os.no_such_name", "no callable"),
        ("os.sep", "no callable"),
        ("textfile:", "absolute path"),
        ("textfile:sentry.prom", "absolute path"),
        ("textfile:/tmp/sentry.txt", "absolute path"),
    ],
)
def test_metrics_may_be_nothing_else(given, match):
    refused(match, metrics=given)


def test_the_logger_of_requests_may_have_another_name():
    assert make().logger_name == "tablestore-client"
    assert make(logger_name="ots").logger_name == "ots"
    refused("logger_name must be a str", logger_name=7)


class TestTheStore:
    """The store's own parameters are options too."""

    def make(self, **parameters):
        client_options = {"end_point": "http://127.0.0.1:9"}
        client_options.update(access_key_id="a", access_key_secret="b")
        client_options.update(parameters.pop("client_options", {}))
        return TablestoreKVStorage(
            **{"instance": None, "table_name": "t", **parameters}, client_options=client_options
        )

    def test_parameters(self):
        store = self.make(
            instance="events", default_ttl=DAY, compression="zlib", reserved_throughput=(1, 2)
        )
        assert (store.instance, store.table_name) == ("events", "t")
        assert (store.default_ttl, store.compression) == (DAY, "zlib")
        assert store.options.reserved_throughput == (1, 2)
        assert self.make().compression is None

    def test_wrong_ones_are_refused_at_once(self):
        with pytest.raises(TablestoreOptionsError, match="compression"):
            self.make(compression="lz4")
        with pytest.raises(TablestoreOptionsError, match=r"unknown option 'timout'.*'timeout'"):
            self.make(client_options={"timout": 1})
        with pytest.raises(TablestoreOptionsError, match="table must be given as a parameter"):
            self.make(client_options={"table": "t"})

    def test_bootstrap_refuses_a_ttl_that_no_table_keeps(self):
        with pytest.raises(TablestoreOptionsError, match="automatic_expiry needs default_ttl"):
            self.make().bootstrap()
        with pytest.raises(TablestoreOptionsError, match="whole seconds"):
            self.make(default_ttl=timedelta(hours=1)).bootstrap()
