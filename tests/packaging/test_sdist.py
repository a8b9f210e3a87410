"""The source distribution: what is in it, that it builds, and what it says where it cannot."""

import hashlib
import os
import platform
import shutil
import stat
import subprocess
import sys
import tarfile

import built
import installed
import pytest

GO = os.environ.get("GO") or shutil.which("go")
NOT_BUILT = ("bench/", "demo/", "proof/", "security/", "tests/")
SOURCE_FILES = (".go", ".c", ".h", ".map", ".py", ".pyi")


@pytest.fixture
def source(tmp_path):
    """The unpacked source distribution."""
    with tarfile.open(built.sdist()) as archive:
        archive.extractall(tmp_path, filter="data")
    (folder,) = tmp_path.glob("sentry_tablestore-*")
    return folder


@pytest.fixture
def refused(tmp_path):
    """Try to install the source distribution and return what it says as it stops."""

    def attempt(version="3.11", requirements="pip-26.txt", **variables):
        environment = installed.environment(version, requirements, tmp_path / "environment")
        done = environment.install(
            "--no-index",
            "--no-cache-dir",
            "--no-build-isolation",
            built.sdist(),
            **{"GO": "", **variables},
        )
        assert done.returncode != 0
        assert environment.packages() == set()
        assert "sentry-tablestore cannot be built here: " in done.stdout, done.stdout
        said = done.stdout.split("sentry-tablestore cannot be built here: ", 1)[1]
        assert "Traceback" not in said.split("\n", 1)[0]
        return said

    return attempt


@pytest.fixture
def program(tmp_path):
    """Make a program that is alone in a folder, for PATH."""

    def make(name, script):
        folder = tmp_path / "bin"
        folder.mkdir()
        file = folder / name
        file.write_text("#!/bin/sh\n" + script)
        file.chmod(0o755)
        return str(folder)

    return make


def test_it_has_all_that_is_built_and_no_tests(source):
    tracked = subprocess.check_output(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=built.REPOSITORY,
        text=True,
    ).splitlines()
    wanted = {
        name
        for name in tracked
        if name.endswith(SOURCE_FILES)
        and not name.startswith(NOT_BUILT)
        and not name.endswith("_test.go")
    }
    there = {str(file.relative_to(source)) for file in source.rglob("*") if file.is_file()}
    assert wanted <= there, wanted - there
    assert {"COMMIT", "LICENSE", "go.mod", "go.sum", "pyproject.toml"} <= there
    assert not [name for name in there if name.startswith(NOT_BUILT)]
    assert not [name for name in there if name.endswith("_test.go")]
    assert built.sdist().stat().st_size < 1_000_000


def test_its_entries_have_fixed_owners_modes_and_one_time():
    with tarfile.open(built.sdist()) as archive:
        entries = archive.getmembers()
    assert [entry.name for entry in entries] == sorted(entry.name for entry in entries)
    assert {(entry.uid, entry.gid, entry.uname, entry.gname) for entry in entries} == {
        (0, 0, "", "")
    }
    assert {stat.S_IMODE(entry.mode) for entry in entries} == {0o644, 0o755}
    assert len({entry.mtime for entry in entries}) == 1


@pytest.mark.parametrize("machine", built.MACHINES)
def test_a_wheel_built_from_it_elsewhere_has_the_same_bytes(source, machine):
    """So the source is complete, and a wheel depends on no folder, user, clock or variable."""
    if machine != platform.machine() and os.environ.get("TEST_WHEELS") != "all":
        pytest.skip("takes minutes: run by `make compat` (TEST_WHEELS=all)")
    callers = {"GOFLAGS": "-gcflags=-N", "GOEXPERIMENT": "arenas", "CPATH": "/not/there"}
    callers.update({"CGO_LDFLAGS": "-Wl,-z,now", "CGO_CPPFLAGS": "-DPy_LIMITED_API=0x030d0000"})

    assert _built_again(source, machine, **callers) == _hash(built.wheel(machine))


def test_a_source_distribution_made_from_it_elsewhere_has_the_same_bytes(source):
    assert _built_again(source, "sdist") == _hash(built.sdist())


def _built_again(source, what, **variables):
    """Build it in the unpacked source, and give the hash of what came."""
    with tarfile.open(built.sdist()) as archive:
        epoch = str(archive.getmembers()[0].mtime)
    subprocess.run(["chmod", "-R", "go-rwx", source], check=True)
    builder = source / "packaging" / "build.py"
    done = built.run(built.BUILDER, builder, what, SOURCE_DATE_EPOCH=epoch, **variables)
    assert done.returncode == 0, done.stdout
    (again,) = (source / "dist").iterdir()
    assert again.name in {file.name for file in built.DIST.iterdir()}
    return _hash(again)


def _hash(file):
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.mark.skipif(GO is None, reason="there is no Go")
@pytest.mark.parametrize(
    ("version", "requirements"), [("3.6", "pip-19.3.1.txt"), ("3.11", "pip-26.txt")]
)
def test_it_builds_where_go_and_a_compiler_are(version, requirements, tmp_path):
    environment = installed.environment(version, requirements, tmp_path / "environment")

    # With pip's build isolation: the setuptools that pyproject.toml asks for has to be there.
    done = environment.install("--no-cache-dir", built.sdist(), GO=GO)

    assert done.returncode == 0, done.stdout
    assert environment.packages() == {"sentry_tablestore"}
    told = environment.exercise(tmp_path)
    assert set(told["read"].values()) == {True}, told["read"]
    assert environment.server_version() == told["engine"]
    assert "(commit unknown" not in told["engine"]


def test_without_go_it_names_the_version_and_the_wheels(refused, tmp_path):
    said = refused(PATH=str(tmp_path))

    assert "needs Go 1.25 or newer" in said
    assert "there is no go on PATH or in $GO" in said
    assert "wheels for x86_64 and aarch64" in said


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("echo go version go1.20.14 linux/amd64", "says: go version go1.20.14 linux/amd64"),
        (
            "echo 'go: download go1.25 for linux/amd64: toolchain not available' >&2; exit 1",
            "toolchain not available",
        ),
        ("", "says: nothing"),
    ],
    ids=["older", "cannot get a newer one", "silent"],
)
def test_with_an_old_go_it_names_the_version(refused, program, script, told):
    said = refused(PATH=program("go", script))

    assert "needs Go 1.25 or newer" in said
    assert told in said


def test_without_a_compiler_it_says_so(refused, program):
    said = refused(PATH=program("go", f'exec "{os.path.realpath(GO)}" "$@"'), CC="")

    assert "there is no gcc" in said


def test_on_musl_it_says_why_not(refused, tmp_path):
    """A simulation: the C library's name is asked of a Python that denies knowing glibc's."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os\n"
        "known = os.confstr\n"
        "def confstr(name):\n"
        "    if name == 'CS_GNU_LIBC_VERSION':\n"
        "        raise ValueError('unrecognized configuration name')\n"
        "    return known(name)\n"
        "os.confstr = confstr\n"
    )

    said = " ".join(refused(PYTHONPATH=str(tmp_path), GO=sys.executable).split())

    assert "another C library than glibc" in said
    assert "golang.org/issue/54805" in said
    assert "Sentry's own images are Debian" in said
