"""The wheel for this machine, installed and used in clean environments of old and new CPython."""

import platform
import re

import built
import installed
import pytest

# The oldest pip that knows manylinux2014, where Sentry's images have an old one.
PIP = {
    "3.6": "pip-19.3.1.txt",
    "3.8": "pip-19.3.1.txt",
    "3.11": "pip-26.txt",
    "3.13": "pip-26.txt",
}


@pytest.mark.parametrize("version", PIP)
def test_installed_alone_it_works_also_after_a_fork(version, tmp_path):
    environment = installed.environment(version, PIP[version], tmp_path / "environment")

    done = environment.install("--no-index", built.wheel(platform.machine()))

    assert done.returncode == 0, done.stdout
    assert environment.packages() == {"sentry_tablestore"}
    told = environment.exercise(tmp_path)
    assert told["python"] == version
    assert set(told["read"].values()) == {True}, told["read"]
    assert re.fullmatch(
        rf"{told['version']} \(commit [0-9a-f]{{40}}(-dirty)?, go1\.\d+\S*, linux/\w+\)",
        told["engine"],
    )
    assert environment.server_version() == told["engine"]


def test_a_pip_without_manylinux2014_refuses_it(tmp_path):
    environment = installed.environment("3.6", "pip-19.2.3.txt", tmp_path / "environment")

    done = environment.install("--no-index", built.wheel(platform.machine()))

    assert done.returncode != 0
    assert "is not a supported wheel on this platform" in done.stdout
    assert environment.packages() == set()


def test_a_pip_without_manylinux2014_that_takes_the_source_is_told_of_newer_ones(tmp_path):
    environment = installed.environment("3.6", "pip-19.2.3.txt", tmp_path / "environment")

    done = environment.install(
        *("--no-index", "--no-cache-dir", "--no-build-isolation"),
        *("--find-links", built.DIST, "sentry-tablestore"),
        PATH=str(tmp_path / "environment" / "bin"),
        GO="",
    )

    assert done.returncode != 0
    assert "pip install --upgrade 'pip>=19.3'" in done.stdout, done.stdout


@pytest.mark.parametrize(
    ("tag", "found"),
    [
        ("manylinux2014_x86_64", True),
        ("manylinux2014_aarch64", True),
        ("musllinux_1_2_x86_64", False),
        ("manylinux2010_x86_64", False),
        ("manylinux2014_i686", False),
    ],
)
def test_pip_chooses_it_for_glibc_only(tag, found, tmp_path):
    environment = installed.environment("3.11", "pip-26.txt", tmp_path / "environment")

    done = environment.pip(
        *("download", "--no-index", "--find-links", built.DIST, "--only-binary", ":all:"),
        *("--platform", tag, "--dest", tmp_path, "sentry-tablestore"),
    )

    assert (done.returncode == 0) == found, done.stdout
    if not found:
        assert "No matching distribution found for sentry-tablestore" in done.stdout
