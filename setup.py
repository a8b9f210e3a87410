"""Builds the extension module and the local server with Go. The rest is in pyproject.toml."""

import os
import shutil
import subprocess
import sys
import sysconfig

from setuptools import Distribution, Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = os.path.dirname(os.path.abspath(__file__))


def go_build(output, package, *flags, **environment):
    go = os.environ.get("GO") or shutil.which("go")
    if not go:
        sys.exit(
            "sentry-tablestore: building from source needs Go 1.25 or newer on PATH or in $GO; "
            "a wheel needs no compiler: pip install --only-binary :all: sentry-tablestore"
        )
    if not sys.platform.startswith("linux"):
        sys.exit("sentry-tablestore: only Linux is supported (memfd, /proc), as by Sentry itself")
    command = [go, "build", "-trimpath", "-o", os.path.abspath(output)]
    subprocess.check_call(
        command + list(flags) + [package], cwd=ROOT, env=dict(os.environ, **environment)
    )


class BuildEngine(build_ext):
    """`go build -buildmode=c-shared`; cgo compiles cpython/module.c on the way."""

    def build_extension(self, ext):
        output = self.get_ext_fullpath(ext.name)
        os.makedirs(os.path.dirname(output), exist_ok=True)
        include = "-I" + sysconfig.get_paths()["include"]
        # Only the module's init function is exported, so that the copies of a process and of its
        # forked children can never bind to each other's functions.
        exports = os.path.join(ROOT, "cpython", "exports.map")
        go_build(
            output,
            ".",
            "-buildmode=c-shared",
            "-ldflags=-s -w -extldflags=-Wl,--version-script=" + exports,
            CGO_ENABLED="1",
            CGO_CFLAGS=" ".join([os.environ.get("CGO_CFLAGS", "-O2"), include]),
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
        go_build(output, "./cmd/tablestore-local", "-ldflags=-s -w", CGO_ENABLED="0")


setup(
    ext_modules=[
        Extension("sentry_tablestore._native", sources=["export.go"], py_limited_api=True)
    ],
    scripts=["cmd/tablestore-local/main.go"],  # says that there is a script; BuildServer makes it
    cmdclass={"build_ext": BuildEngine, "build_scripts": BuildServer},
    options={"bdist_wheel": {"py_limited_api": "cp36"}},
)
