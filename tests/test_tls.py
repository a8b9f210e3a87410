"""Whoever cannot prove to be the service is sent nothing, whatever options and environment say."""

import json
import os
import re
import subprocess
import sys

import local_server
import pytest
import tls_front
from sentry_tablestore import options

# Each call gets as long as no busy machine takes over one attempt.
PATIENCE = 300
CLIENT = """
import json, sys, time, warnings
from sentry_tablestore.kvstore.tablestore import TablestoreKVStorage
from sentry_tablestore import errors

store = TablestoreKVStorage("sentry", sys.argv[2], json.loads(sys.argv[1]))
told = []
for call in (
    lambda: store.get("a"),
    lambda: store.set("a", b"value"),
    lambda: list(store.get_many(["a", "b"])),
    lambda: store.set_many({"a": b"1", "b": b"2"}),
    lambda: store.delete("a"),
    lambda: store.bootstrap(automatic_expiry=False),
):
    begun = time.monotonic()
    try:
        call()
        told.append(["", "", 0])
    except errors.TablestoreError as error:
        told.append([type(error).__name__, str(error), time.monotonic() - begun])
print(json.dumps(told))
"""

# What turns the check of certificates off, or was said to, in this or that program.
TRICKS = {
    "GODEBUG": "x509ignoreCN=0,x509sha1=1,x509usefallbackroots=1,tls10server=1,tlsrsakex=1",
    "PYTHONHTTPSVERIFY": "0",
    "NODE_TLS_REJECT_UNAUTHORIZED": "0",
    "GIT_SSL_NO_VERIFY": "1",
    "SSL_VERIFY": "false",
    "SSL_NO_VERIFY": "1",
    "VERIFY_SSL": "0",
    "INSECURE": "1",
    "GOINSECURE": "*",
    "NO_PROXY": "*",
    "no_proxy": "*",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "https_proxy": "http://127.0.0.1:9",
    "ALL_PROXY": "socks5://127.0.0.1:9",
}


@pytest.fixture
def calls(server, table, certificates, tmp_path):
    """Make each call once through a server that shows a certificate, in a process of its own.

    Gives the name of the exception, its text and the seconds, for each call.
    """

    def run(certificate, environment=None):
        port = int(server.end_point.rsplit(":", 1)[1])
        with tls_front.serving(str(certificates / certificate), port) as front:
            given = server.client_options(end_point=f"https://127.0.0.1:{front}", timeout=PATIENCE)
            variables = dict(os.environ, SSL_CERT_FILE=str(certificates / "trusted.pem"))
            variables["PYTHONPATH"] = os.path.join(local_server.REPOSITORY, "python")
            variables.update(environment or {})
            done = subprocess.run(
                [sys.executable, "-c", CLIENT, json.dumps(given), table],
                stdout=subprocess.PIPE,
                universal_newlines=True,
                env=variables,
                check=True,
                timeout=PATIENCE,
            )
        return json.loads(done.stdout)

    return run


def test_a_good_certificate(calls):
    assert [name for name, _, _ in calls("right.pem")] == [""] * 6


def test_a_good_certificate_whatever_the_environment_says(calls, tmp_path):
    keys = tmp_path / "keys"
    told = calls("right.pem", dict(TRICKS, SSLKEYLOGFILE=str(keys)))
    assert [name for name, _, _ in told] == [""] * 6
    # The keys of a connection would open all that was recorded of it.
    assert not keys.exists()


@pytest.mark.parametrize("environment", [{}, TRICKS], ids=["plain", "tricks"])
@pytest.mark.parametrize(
    ("certificate", "said"),
    [
        ("self-signed.pem", "does not trust who signed it"),
        ("unknown.pem", "does not trust who signed it"),
        ("elsewhere.pem", "it is for another host"),
        ("expired.pem", "it has expired"),
    ],
)
def test_a_certificate_that_proves_nothing(calls, certificate, said, environment):
    told = calls(certificate, environment)
    assert len(told) == 6
    for name, text, seconds in told:
        assert name == "TablestoreCertificateError"
        assert "the server's certificate is refused: " in text
        assert said in text
        assert "No option turns this check off" in text
        assert seconds < PATIENCE / 2, "it was tried again"
        assert "gave up" not in text


def test_no_option_turns_the_check_off():
    known = options.KNOWN + options.WITHOUT_MEANING
    spoken_of = [name for name in known if re.search("verif|insecure|cert|trust|tls|proxy", name)]
    assert spoken_of == []
    for name in ("verify", "verify_ssl", "insecure", "ssl_verify", "ca_certs", "proxies"):
        with pytest.raises(options.TablestoreOptionsError, match="unknown option"):
            options.Options({"end_point": "https://127.0.0.1", name: False})


def test_no_source_turns_the_check_off():
    """A line that did would be found by no test that does not know the switch for it."""
    off = re.compile(
        r"InsecureSkipVerify|VerifyPeerCertificate|CERT_NONE|check_hostname = False"
        r"|_create_unverified_context|verify=False"
    )
    found = []
    for folder in ("call", "cmd", "cpython", "local", "python", "store", "tablestore"):
        for place, _, names in os.walk(os.path.join(local_server.REPOSITORY, folder)):
            for name in names:
                if name.endswith((".go", ".py", ".c")) and not name.endswith("_test.go"):
                    path = os.path.join(place, name)
                    with open(path, encoding="utf-8") as file:
                        found += [path for line in file if off.search(line)]
    assert found == []
