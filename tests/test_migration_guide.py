"""docs/migration.md names commands, options and names that exist, and its programs run."""

import datetime
import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import click
import pytest
import running_sentry
from sentry_tablestore.cli.configuration import read_file, store_of
from sentry_tablestore.cli.main import main

GUIDE = Path(__file__).resolve().parent.parent / "docs" / "migration.md"
PACKAGE = GUIDE.parent.parent / "python" / "sentry_tablestore"
TEXT = GUIDE.read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)


def blocks(language):
    return [text for name, text in BLOCKS if name == language]


def command_lines():
    """Give the arguments of every `sentry-tablestore` in a shell block, continued lines joined."""
    found = []
    for text in blocks("shell"):
        for line in text.replace("\\\n", " ").splitlines():
            # Not the names of files and of a container.
            for part in re.split(r"(?<=\s)sentry-tablestore(?=\s|$)", line)[1:]:
                found.append(shlex.split(part.split("|")[0], comments=True))
    return found


# click keeps what it makes for a context with a command: so it has to be the command line's own.
CONTEXT = click.Context(main, **main.context_settings)


def parse(name, arguments):
    """Parse a command's arguments; raises for an option that is not there."""
    command = main.commands[name]
    context = click.Context(command, parent=CONTEXT)
    command.make_parser(context).parse_args(args=list(arguments))


def options_of(command):
    return {name: option for option in command.params for name in option.opts}


def test_there_is_something_to_check():
    used = {words[i] for words in command_lines() for i in range(len(words))}
    assert {"bootstrap", "check", "migrate", "verify", "export", "import"} <= used


@pytest.mark.parametrize("words", command_lines(), ids=" ".join)
def test_commands_are_taken_by_the_command_line(words):
    _, left, _ = main.make_parser(CONTEXT).parse_args(args=list(words))
    if left:
        assert left[0] in main.commands
        parse(left[0], left[1:])


def test_options_that_are_named_in_the_text_exist():
    plain = re.sub(r"^```.*?^```", "", TEXT, flags=re.DOTALL | re.MULTILINE)
    known = {name for command in main.commands.values() for name in options_of(command)}
    # In backticks, as options are; those of other programs stand in blocks.
    named = set(re.findall(r"`[^`\n]*?(--[a-z-]+)[^`\n]*`", plain))
    assert {"--dry-run", "--rate", "--sample", "--repair", "--allow-pickle"} <= named
    assert named - known == {"--help"}


def test_the_commands_of_the_job_exist():
    for arguments in re.findall(r"\.args = (\[.*?\])", TEXT):
        name, *others = json.loads(arguments)
        parse(name, others)


def test_the_options_of_the_file_are_taken(tmp_path):
    (text,) = blocks("json")
    file = tmp_path / "tablestore.json"
    file.write_text(text.replace("…", "x"))
    store = store_of(read_file(str(file)))
    assert store.default_ttl == datetime.timedelta(days=90)
    assert store.options.automatic_expiry


def test_the_settings_are_taken():
    (text,) = blocks("python")
    settings = {}
    exec(text.replace("…", "x"), settings)
    with running_sentry.layout("old") as backend:
        module, name = settings["SENTRY_NODESTORE"].rsplit(".", 1)
        assert module == backend.__name__
        nodes = getattr(backend, name)(**settings["SENTRY_NODESTORE_OPTIONS"])
        assert nodes.store.default_ttl == datetime.timedelta(days=90)
        assert nodes._read_through.path == "sentry.nodestore.django.DjangoNodeStorage"
        assert nodes._read_through.copy is False


def test_what_to_watch_is_what_is_said():
    source = (PACKAGE / "nodestore" / "read_through.py").read_text()
    assert "nodestore.tablestore.read_through" in source
    for result in ("hit", "miss", "failed", "copied", "copy_failed"):
        assert f"`{result}`" in TEXT
        assert f'"{result}"' in source
    assert "read_through from %s in the last %d seconds: %s." in source
    assert "in the last 300 seconds: hit 41, miss 2." in TEXT
    assert '"Complete."' in (PACKAGE / "cli" / "verify.py").read_text()


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not here")
class TestJq:
    """The jq programs, on what the commands before them print."""

    def run(self, program, data):
        done = subprocess.run(
            ["jq", "-r", program], input=json.dumps(data), capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def programs(self):
        return re.findall(r"jq (?:-r )?'(.*?)'", TEXT, re.DOTALL)

    def test_sentrys_own_services(self):
        services = {
            "web": {"image": "sentry-self-hosted-local"},
            "worker": {"image": "sentry-self-hosted-local", "build": {}},
            "relay": {"image": "getsentry/relay"},
        }
        (own,) = set(self.programs()[:-1])
        assert self.run(own, {"services": services}).split() == ["web", "worker"]

    def test_the_job(self):
        container = {
            "name": "sentry-web",
            "image": "registry.example.com/sentry:26.1.0-tablestore",
            "command": ["sentry", "run", "web"],
            "env": [{"name": "POSTGRES_HOST", "value": "postgres"}],
            "volumeMounts": [{"mountPath": "/etc/sentry", "name": "config"}],
            "livenessProbe": {},
            "ports": [{"containerPort": 9000}],
        }
        pod = {
            "volumes": [{"name": "config", "configMap": {"name": "sentry-sentry"}}],
            "containers": [container, {"name": "sidecar"}],
            "restartPolicy": "Always",
        }
        job = json.loads(self.run(self.programs()[-1], {"spec": {"template": {"spec": pod}}}))
        assert (job["apiVersion"], job["kind"]) == ("batch/v1", "Job")
        made = job["spec"]["template"]["spec"]
        assert (made["volumes"], made["restartPolicy"]) == (pod["volumes"], "OnFailure")
        (only,) = made["containers"]
        assert only["command"] == ["sentry-tablestore"]
        assert only["args"][:3] == ["migrate", "--checkpoint", "table"]
        assert only["env"] == container["env"]
        assert not {"livenessProbe", "ports"} & set(only)
