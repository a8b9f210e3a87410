"""Builds the extension module and the local server with Go, on CPython 3.6 and newer.

The metadata are here and not in pyproject.toml: the last setuptools for CPython 3.6 cannot read it.
packaging/build.py makes the wheels and the source distribution that are published.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig

from setuptools import Distribution, Extension, find_packages, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.sdist import sdist

ROOT = os.path.dirname(os.path.abspath(__file__))
MODULE = "github.com/PMExtra/sentry-tablestore/v2"
HOME = "https://github.com/PMExtra/sentry-tablestore"
# Written into a source distribution, which has no Git.
COMMIT = "COMMIT"
WHEEL_INSTEAD = (
    "There are wheels for x86_64 and aarch64 with glibc 2.17 or newer, which need no compiler; "
    "pip sees them from 19.3 on: pip install --upgrade 'pip>=19.3' (CPython 3.6: 'pip<22')."
)


def read(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as file:
        return file.read()


def readme():
    """The README as an index shows it, where links to files of this folder lead nowhere."""
    return re.sub(r"\]\((?!https?:|#)", "](" + HOME + "/blob/HEAD/", read("README.md"))


def stop(why):
    sys.exit("sentry-tablestore cannot be built here: " + why)


def version():
    return re.search(r'__version__ = "(.+)"', read("python/sentry_tablestore/__init__.py")).group(1)


def commit():
    """The commit of this source, with "-dirty" where files differ from it."""
    if os.path.exists(os.path.join(ROOT, COMMIT)):
        return read(COMMIT).strip()
    # A checkout of its own, and not an unpacked source in the checkout of something else.
    if not (shutil.which("git") and os.path.exists(os.path.join(ROOT, ".git"))):
        return "unknown"
    try:
        head = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=ROOT)
        changes = ["git", "status", "--porcelain", "--untracked-files=no"]
        dirty = subprocess.check_output(changes, cwd=ROOT)
    except subprocess.CalledProcessError:
        return "unknown"
    return head.decode().strip() + ("-dirty" if dirty else "")


def require_glibc():
    if not sys.platform.startswith("linux"):
        stop("only Linux is supported (memfd, /proc), as by Sentry itself.")
    try:
        libc = os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (AttributeError, OSError, ValueError):
        libc = ""
    if not libc.startswith("glibc"):
        stop(
            "this Python runs on another C library than glibc (musl, as on Alpine). A Go library "
            "cannot be loaded into a running process there: its thread-local storage must be there "
            "from the start (golang.org/issue/54805), and it expects arguments that only glibc "
            "hands over (golang.org/issue/13492). Sentry's own images are Debian: use one of those."
        )


def require_go():
    """The path of a Go that is new enough for go.mod."""
    go = os.environ.get("GO") or shutil.which("go")
    wanted = re.search(r"^go (\d+)\.(\d+)", read("go.mod"), re.M).groups()
    needed = "building it from source needs Go {}.{} or newer (https://go.dev/doc/install)".format(
        *wanted
    )
    if not go:
        stop(f"{needed}, and there is no go on PATH or in $GO. {WHEEL_INSTEAD}")
    # Asked for in this folder: Go 1.21 and newer fetch by themselves the version that go.mod names.
    asked = subprocess.Popen(
        [go, "version"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    said = asked.communicate()[0].decode(errors="replace").strip()
    found = re.search(r"go version (?:devel )?go(\d+)\.(\d+)", said)
    if asked.returncode or not found or tuple(map(int, found.groups())) < tuple(map(int, wanted)):
        stop("{}; `{} version` says: {}. {}".format(needed, go, said or "nothing", WHEEL_INSTEAD))
    return go


def require_c(go):
    """What cgo needs: a C compiler and CPython's headers. Returns the folder of those."""
    cc = subprocess.check_output([go, "env", "CC"], cwd=ROOT).decode().strip()
    if not shutil.which(shlex.split(cc)[0]):
        stop(f"its C part needs a compiler, and there is no {cc}. {WHEEL_INSTEAD}")
    include = sysconfig.get_paths()["include"]
    if not os.path.exists(os.path.join(include, "Python.h")):
        stop(f"CPython's headers are missing in {include} (Debian: python3-dev).")
    return include


def go_build(go, output, package, flags=(), link=(), **environment):
    link = [
        "-s",
        "-w",
        "-buildid=",  # it depends on the folder
        f"-X={MODULE}/version.Version={version()}",
        f"-X={MODULE}/version.Commit={commit()}",
    ] + list(link)
    command = [go, "build", "-trimpath", "-buildvcs=false", "-ldflags=" + " ".join(link)]
    command += list(flags) + ["-o", os.path.abspath(output), package]
    done = subprocess.call(command, cwd=ROOT, env=dict(os.environ, **environment))
    if done:
        stop(f"`go build {package}` failed: see above.")


class BuildEngine(build_ext):
    """`go build -buildmode=c-shared`; cgo compiles what is in cpython/ on the way."""

    def build_extension(self, ext):
        require_glibc()
        go = require_go()
        include = require_c(go)
        output = self.get_ext_fullpath(ext.name)
        os.makedirs(os.path.dirname(output), exist_ok=True)
        # Only the module's init function is exported, so that the copies of a process and of its
        # forked children can never bind to each other's functions.
        exports = os.path.join(ROOT, "cpython", "exports.map")
        go_build(
            go,
            output,
            ".",
            ["-buildmode=c-shared"],
            [f"'-extldflags=-Wl,--strip-all \"-Wl,--version-script={exports}\"'"],
            CGO_ENABLED="1",
            CGO_CFLAGS='{} "-I{}"'.format(os.environ.get("CGO_CFLAGS", "-O2"), include),
        )
        # Go writes a header beside the library; nobody includes it.
        header = os.path.splitext(output)[0] + ".h"
        if os.path.exists(header):
            os.remove(header)


# The one way to this class without importing distutils, which is deprecated.
class BuildServer(Distribution().get_command_class("build_scripts")):
    """The command tablestore-local is a static program, not a Python script."""

    def run(self):
        os.makedirs(self.build_dir, exist_ok=True)
        output = os.path.join(self.build_dir, "tablestore-local")
        go_build(require_go(), output, "./cmd/tablestore-local", CGO_ENABLED="0")


class SourceWithCommit(sdist):
    """A source distribution knows the commit that it was made of."""

    def make_release_tree(self, base_dir, files):
        sdist.make_release_tree(self, base_dir, files)
        with open(os.path.join(base_dir, COMMIT), "w") as file:
            file.write(commit() + "\n")


setup(
    name="sentry-tablestore",
    version=version(),
    description="Sentry's nodestore on Alibaba Cloud Tablestore, and a local server for it",
    long_description=readme(),
    long_description_content_type="text/markdown",
    url=HOME,
    project_urls={
        "Changes": HOME + "/blob/HEAD/CHANGELOG.md",
        "Documentation": HOME + "/blob/HEAD/docs/README.md",
    },
    license="Apache-2.0",
    python_requires=">=3.6",
    # No requirement, ever: a pin could move Sentry's own packages. click is there in every Sentry.
    install_requires=[],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: System Administrators",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
    ]
    # What `make compat` runs it with.
    + ["Programming Language :: Python :: 3." + str(minor) for minor in range(6, 14)]
    + [
        "Programming Language :: Python :: Implementation :: CPython",
        "Topic :: Database",
    ],
    package_dir={"": "python"},
    packages=find_packages("python"),
    package_data={"sentry_tablestore": ["py.typed", "*.pyi"]},
    include_package_data=False,
    zip_safe=False,
    ext_modules=[
        Extension("sentry_tablestore._native", sources=["export.go"], py_limited_api=True)
    ],
    entry_points={"console_scripts": ["sentry-tablestore = sentry_tablestore.cli.main:main"]},
    scripts=["cmd/tablestore-local/main.go"],  # says that there is a script; BuildServer makes it
    cmdclass={
        "build_ext": BuildEngine,
        "build_scripts": BuildServer,
        "sdist": SourceWithCommit,
    },
    options={"bdist_wheel": {"py_limited_api": "cp36"}},
)
