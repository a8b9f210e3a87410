"""What is in a wheel and what it asks of its user."""

import ast
import base64
import hashlib
import re
import stat
import sys
import zipfile
from email.parser import Parser

import built
import pytest

PACKAGE = built.REPOSITORY / "python" / "sentry_tablestore"
ELF_MACHINE = {"x86_64": 62, "aarch64": 183}
# There in every Sentry from 21.9 on: for what runs beside or inside one.
CLICK = "click"
WITH_CLICK = {"cli", "nodestore"}
# Looked for in Sentry's process, and done without where it is not there.
OPTIONAL = {"sentry", "sentry_sdk", "structlog", "google", "django", "psycopg2", "pytest"}


@pytest.fixture(params=built.MACHINES)
def machine(request):
    """A processor that there is a wheel for."""
    return request.param


@pytest.fixture
def wheel(machine):
    """The opened wheel for it."""
    with zipfile.ZipFile(built.wheel(machine)) as opened:
        yield opened


def read(wheel, ending):
    """Read the one entry whose name ends so."""
    (name,) = [name for name in wheel.namelist() if name.endswith(ending)]
    return wheel.read(name)


def test_it_requires_nothing(wheel):
    metadata = Parser().parsestr(read(wheel, ".dist-info/METADATA").decode())
    assert metadata["Name"] == "sentry-tablestore"
    assert metadata["Requires-Python"] == ">=3.6"
    assert metadata.get_all("Requires-Dist") is None
    assert metadata.get_all("Provides-Extra") is None


def test_its_page_on_an_index_has_no_link_that_leads_nowhere(wheel):
    metadata = Parser().parsestr(read(wheel, ".dist-info/METADATA").decode())
    links = re.findall(r"\]\(([^)]+)\)", metadata.get_payload())
    assert [link for link in links if not link.startswith(("https://", "#"))] == []
    files = [link.split("/blob/HEAD/")[1].split("#")[0] for link in links if "/blob/HEAD/" in link]
    assert "docs/quick-start.md" in files
    assert [file for file in files if not (built.REPOSITORY / file).exists()] == []
    for minor in range(6, 14):
        assert f"Programming Language :: Python :: 3.{minor}" in metadata.get_all("Classifier")


def test_the_package_imports_nothing_that_it_does_not_bring_or_find():
    """So that having no requirement is right, not forgotten."""
    imported = {}
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module]
            else:
                continue
            for name in names:
                imported.setdefault(name.split(".")[0], set()).add(file.relative_to(PACKAGE))
    foreign = {
        name: files
        for name, files in imported.items()
        if name not in sys.stdlib_module_names and name not in OPTIONAL | {"sentry_tablestore"}
    }
    assert {file.parts[0] for file in foreign.pop(CLICK)} == WITH_CLICK
    assert foreign == {}


def test_it_has_the_whole_package_and_nothing_else(wheel):
    source = {
        str(file.relative_to(PACKAGE.parent))
        for file in PACKAGE.rglob("*")
        if file.suffix in (".py", ".pyi", ".typed") or file.name == "py.typed"
    }
    names = set(wheel.namelist())
    inside = {name for name in names if name.startswith("sentry_tablestore/")}
    assert inside == source | {"sentry_tablestore/_native.abi3.so"}
    rest = {re.sub(r"^sentry_tablestore-[^/]+\.", "", name) for name in names - inside}
    assert rest == {
        "data/scripts/tablestore-local",
        "dist-info/METADATA",
        "dist-info/RECORD",
        "dist-info/WHEEL",
        "dist-info/entry_points.txt",
        "dist-info/licenses/LICENSE",
        "dist-info/top_level.txt",
    }


def test_both_binaries_are_for_its_processor_and_stripped(wheel, machine):
    for ending in ("_native.abi3.so", "tablestore-local"):
        binary = read(wheel, ending)
        assert binary[:4] == b"\x7fELF"
        assert int.from_bytes(binary[18:20], "little") == ELF_MACHINE[machine]
        for section in (b".symtab\0", b".debug_info\0", b".zdebug_info\0"):
            assert section not in binary[-4096:], f"{ending} has {section!r}"


def test_no_path_of_the_builder_is_in_it(wheel):
    for name in wheel.namelist():
        assert str(built.REPOSITORY).encode() not in wheel.read(name), name


def test_entries_have_fixed_modes_and_one_time(wheel):
    entries = wheel.infolist()
    assert len({entry.date_time for entry in entries}) == 1
    for entry in entries:
        executable = entry.filename.endswith(("_native.abi3.so", "tablestore-local"))
        mode = entry.external_attr >> 16
        assert stat.S_IMODE(mode) == (0o755 if executable else 0o644), entry.filename
    in_metadata = [".dist-info/" in entry.filename for entry in entries]
    assert in_metadata == sorted(in_metadata)


def test_the_record_is_right(wheel):
    recorded = {}
    for line in read(wheel, ".dist-info/RECORD").decode().splitlines():
        name, digest, _ = line.rsplit(",", 2)
        recorded[name] = digest
    assert recorded.keys() == set(wheel.namelist())
    for name, digest in recorded.items():
        if digest:
            actual = base64.urlsafe_b64encode(hashlib.sha256(wheel.read(name)).digest())
            assert digest == "sha256=" + actual.decode().rstrip("="), name


def test_it_stays_small(machine):
    """10.3 MB when this was written; a dependency that doubles it should be noticed."""
    assert built.wheel(machine).stat().st_size < 14_000_000


def test_auditwheel_abi3audit_and_twine_have_no_objection():
    wheels = [built.wheel(machine) for machine in built.MACHINES]
    check = built.REPOSITORY / "packaging" / "check.py"
    done = built.run(built.BUILDER, check, *wheels, built.sdist())
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("CPython 3.6 or newer") == 2
    assert "3 files can be published" in done.stdout
