"""`make security` finds what it looks for, and says so where it cannot look."""

import contextlib
import http.server
import json
import random
import shutil
import string
import subprocess
import sys
import threading
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "security"))

import scan  # noqa: E402

pytestmark = pytest.mark.skipif(not shutil.which("go"), reason="the scans are Go programs")


def needed(tool):
    """Skip a test where a tool cannot be downloaded, which the scan would tell as well."""
    try:
        tool()
    except scan._Unreachable as problem:
        pytest.skip(str(problem))


# Secrets.


@pytest.fixture
def repository(tmp_path):
    """An empty Git repository, and a way to commit in it."""
    needed(lambda: scan._go_tool(scan.GITLEAKS, ["version"], tmp_path))

    def git(*arguments):
        identity = ["-c", "user.name=Tests", "-c", "user.email=tests@example.invalid"]
        subprocess.run(["git", *identity, *arguments], cwd=str(tmp_path), check=True)

    def commit(name, text):
        (tmp_path / name).write_text(text)
        git("add", "--all")
        git("commit", "--quiet", "--message", "A commit")

    git("init", "--quiet")
    commit("README", "nothing\n")
    return tmp_path, commit


def letters(count):
    """Characters as a key has, none of which stands in a source.

    The same in each run: of all there are some hold a word, such as a colour, that gitleaks takes
    for an example's, and some repeat too many characters.
    """
    chance = random.Random(count)
    return "".join(chance.choice(string.ascii_letters + string.digits) for _ in range(count))


PLANTED = {
    "access key": lambda: f'access_key_id = "LTAI{letters(20)}"\n',
    "its secret": lambda: f'"access_key_secret": "{letters(30)}",\n',
    "pair in YAML": lambda: f"key: LTAI5t{letters(18)}\nalibaba_secret: {letters(30)}\n",
    "temporary key": lambda: f"id: STS.{letters(25)}\n",
    "token": lambda: f'token = "CAIS{letters(300)}=="\n',
}


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_secret_is_found(repository, kind):
    folder, commit = repository
    text = PLANTED[kind]()
    commit("settings.py", text)
    outcome = scan.outcome_of(lambda: scan.secrets(folder))
    assert outcome.status is scan.Status.FAILED
    assert "settings.py" in outcome.text
    # What is found must not be printed into a log for everybody.
    for word in text.replace('"', " ").split():
        assert len(word) < 20 or word not in outcome.text


def test_a_secret_that_was_taken_out_again_is_found(repository):
    folder, commit = repository
    commit("settings.py", PLANTED["access key"]())
    commit("settings.py", "\n")
    assert scan.secrets(folder).status is scan.Status.FAILED


def test_a_secret_that_is_not_committed_yet_is_found(repository):
    folder, _ = repository
    (folder / "README").write_text(PLANTED["access key"]())
    assert scan.secrets(folder).status is scan.Status.FAILED


def test_nothing_is_found_where_nothing_is(repository):
    folder, commit = repository
    commit("settings.py", 'access_key_id = os.environ["ALIBABA_CLOUD_ACCESS_KEY_ID"]\n')
    assert scan.secrets(folder).status is scan.Status.OK


def test_what_is_no_repository_is_not_called_clean(tmp_path):
    outcome = scan.outcome_of(lambda: scan.secrets(tmp_path))
    assert str(outcome).startswith("skipped: there is no Git repository")


# Go.


@pytest.fixture
def program(tmp_path, monkeypatch):
    """A Go program that calls strings.ToUpper, and a database in which that is vulnerable."""
    needed(lambda: scan._go_tool(scan.GOVULNCHECK, ["-version"], tmp_path))
    folder, database = tmp_path / "program", tmp_path / "database"
    for one in (folder, database / "ID", database / "index"):
        one.mkdir(parents=True)
    (folder / "go.mod").write_text("module example.invalid/program\n\ngo 1.25\n")
    (folder / "main.go").write_text(
        'package main\n\nimport "strings"\n\nfunc main() { println(strings.ToUpper("x")) }\n'
    )
    now, span = "2026-01-01T00:00:00Z", [{"type": "SEMVER", "events": [{"introduced": "0"}]}]
    entry = {
        "schema_version": "1.3.1",
        "id": "GO-2026-9999",
        "modified": now,
        "published": now,
        "summary": "Made up for a test",
        "database_specific": {"url": "https://example.invalid/GO-2026-9999"},
        "affected": [
            {
                "package": {"name": "stdlib", "ecosystem": "Go"},
                "ranges": span,
                "ecosystem_specific": {"imports": [{"path": "strings", "symbols": ["ToUpper"]}]},
            }
        ],
    }
    index = [{"path": "stdlib", "vulns": [{"id": "GO-2026-9999", "modified": now}]}]
    (database / "index" / "db.json").write_text(json.dumps({"modified": now}))
    (database / "index" / "modules.json").write_text(json.dumps(index))
    (database / "ID" / "GO-2026-9999.json").write_text(json.dumps(entry))
    monkeypatch.setenv("GOVULNDB", database.as_uri())
    return folder


def test_a_call_of_vulnerable_code_is_found(program):
    outcome = scan.go(program)
    assert outcome.status is scan.Status.FAILED
    assert "GO-2026-9999" in outcome.text


def test_code_that_calls_nothing_of_it_is_fine(program):
    (program / "main.go").write_text("package main\n\nfunc main() {}\n")
    assert scan.go(program).status is scan.Status.OK


def test_a_database_that_cannot_be_reached_is_no_clean_bill(program, monkeypatch):
    monkeypatch.setenv("GOVULNDB", "http://127.0.0.1:9")
    outcome = scan.outcome_of(lambda: scan.go(program))
    assert str(outcome).startswith("skipped: govulncheck cannot reach its database: ")
    assert outcome.text.endswith("Nothing was checked.")


def test_a_broken_program_is_no_matter_of_the_network(program):
    (program / "main.go").write_text("package main\n\nfunc main() { nothing() }\n")
    assert scan.go(program).status is scan.Status.FAILED


# Python.


@contextlib.contextmanager
def vulnerability_service(answer):
    """Serve what OSV would answer to each question, on a free port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            body = json.dumps(answer(asked)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def audit(tmp_path, monkeypatch):
    """Audit one package with a service that answers so."""
    needed(scan._pip_audit)
    (tmp_path / "requirements.txt").write_text("click==8.5.1\n")
    monkeypatch.setenv("PIP_AUDIT_VULNERABILITY_SERVICE", "osv")

    def run(address):
        monkeypatch.setenv("PIP_AUDIT_OSV_URL", address)
        return scan.outcome_of(lambda: scan.python(tmp_path))

    return run


def test_a_vulnerable_package_is_found(audit):
    def answer(asked):
        assert (asked["package"]["name"], asked["version"]) == ("click", "8.5.1")
        events = [{"introduced": "0"}, {"fixed": "8.5.2"}]
        affected = {
            "package": {"name": "click", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": events}],
        }
        entry = {"id": "PYSEC-2026-9999", "summary": "Made up", "affected": [affected]}
        return {"vulns": [entry]}

    with vulnerability_service(answer) as address:
        outcome = audit(address)
    assert outcome.status is scan.Status.FAILED
    assert "click 8.5.1: PYSEC-2026-9999 (mended in 8.5.2)" in outcome.text


def test_a_package_that_nothing_is_known_of_is_fine(audit):
    with vulnerability_service(lambda asked: {}) as address:
        outcome = audit(address)
    assert str(outcome) == "ok: no known vulnerability in 1 Python packages"


def test_a_service_that_cannot_be_reached_is_no_clean_bill(audit):
    outcome = audit("http://127.0.0.1:9/v1/query")
    assert str(outcome).startswith("skipped: pip-audit cannot reach its service: ")


def test_a_service_that_does_not_answer_for_a_package_is_no_clean_bill():
    # What pip-audit 2.10.1 itself ends with "No known vulnerabilities found" and exit status 0.
    told = [
        {"name": "click", "version": "8.5.1", "vulns": []},
        {"name": "ruff", "skip_reason": "Dependency not found on PyPI and could not be audited"},
    ]
    outcome = scan.outcome_of(lambda: scan.audited(told))
    assert outcome.status is scan.Status.SKIPPED
    assert "does not answer for 1 of 2 packages: ruff" in outcome.text


# The command.


@pytest.mark.parametrize(
    ("arguments", "status", "expected"),
    [([], "SKIPPED", 0), (["--complete"], "SKIPPED", 1), ([], "FAILED", 1), ([], "OK", 0)],
)
def test_its_exit_status(monkeypatch, capsys, arguments, status, expected):
    outcome = scan.Outcome(scan.Status[status], "made up")
    monkeypatch.setattr(scan, "SCANS", {"go": lambda: outcome})
    monkeypatch.setattr(sys, "argv", ["scan.py", *arguments])
    assert scan.main() == expected
    assert capsys.readouterr().out == f"go: {outcome}\n"


def test_what_is_audited():
    names = {str(path.relative_to(REPOSITORY)) for path in scan.requirements()}
    assert {
        "requirements-dev.txt",
        "packaging/requirements-build.txt",
        "packaging/requirements-check.txt",
        "security/requirements.txt",
        "tests/requirements/pytest.txt",
    } <= names
    assert not [name for name in names if "3.6" in name or "3.8" in name]
