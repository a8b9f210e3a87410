"""Builds the wheels and the source distribution, the same bytes wherever the same commit is built.

    .cache/packaging/bin/python packaging/build.py [--output dist] x86_64 aarch64 sdist

in the environment of requirements-build.txt (make wheels, make sdist). A wheel is for CPython 3.6
and newer with glibc 2.17 or newer: zig compiles and links the C part for that glibc, Go builds the
rest for either processor. The bytes depend on the commit, Go, zig and this CPython's minor version,
not on folders, users, clocks, the machine's C compiler or variables of the caller.
"""

import argparse
import gzip
import io
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import time
import zipfile
from pathlib import Path

import ziglang

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent
BUILD = REPOSITORY / "build"

# Of a wheel's platform tag: what Go calls the processor.
GOARCH = {"x86_64": "amd64", "aarch64": "arm64"}
# The glibc of manylinux2014.
GLIBC = "2.17"
# What Go, cgo and the compiler would take from the caller.
CALLERS = (
    *("GOFLAGS", "GOEXPERIMENT", "GOFIPS140", "GODEBUG"),
    *("CGO_CPPFLAGS", "CGO_CXXFLAGS", "CGO_FFLAGS", "CGO_LDFLAGS"),
    *("CPATH", "C_INCLUDE_PATH", "LIBRARY_PATH"),
)
# Zip knows no time before 1980.
EARLIEST = 315532800


def main() -> None:
    """Build what the command line asks for and print the paths."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--output", type=Path, default=REPOSITORY / "dist")
    parser.add_argument("what", nargs="+", choices=[*GOARCH, "host", "sdist"])
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    for what in arguments.what:
        if what == "sdist":
            made = sdist(arguments.output)
        else:
            made = wheel(platform.machine() if what == "host" else what, arguments.output)
        print(f"{made.stat().st_size:>10,} bytes  {made}")


def wheel(machine: str, output: Path) -> Path:
    """Build the wheel for a processor, in place of earlier ones for it.

    :param machine: The processor, as in the wheel's tag.
    :param output: Folder for the wheel.
    """
    if machine not in GOARCH:
        sys.exit(f"there are wheels for {' and '.join(GOARCH)}, not for {machine}")
    for old in output.glob(f"*_{machine}.whl"):
        old.unlink()
    work = BUILD / f"wheel-{machine}"
    shutil.rmtree(work, ignore_errors=True)
    cache = REPOSITORY / ".cache" / "zig"
    environment = {
        "CC": f'"{HERE / "zig-cc"}" {machine}-linux-gnu.{GLIBC}',
        "ZIG": str(Path(ziglang.__file__).parent / "zig"),
        "ZIG_GLOBAL_CACHE_DIR": str(cache),
        "ZIG_LOCAL_CACHE_DIR": str(cache),
        "GOARCH": GOARCH[machine],
        "GOOS": "linux",
        "CGO_CFLAGS": f'-O2 "-I{_headers()}"',
    }
    # The least processor of each kind, whatever the caller's environment says.
    environment |= {"GOAMD64": "v1", "GOARM64": "v8.0"}
    _setup(
        *("build", "--build-base", work / "build"),
        *("egg_info", "--egg-base", _folder(work / "egg")),
        *("bdist_wheel", "--plat-name", f"manylinux2014_{machine}"),
        *("--bdist-dir", work / "tree", "--dist-dir", work),
        environment=environment,
    )
    (made,) = work.glob("*.whl")
    return _same_zip(made, output / made.name)


def sdist(output: Path) -> Path:
    """Build the source distribution, in place of earlier ones."""
    for old in output.glob("*.tar.gz"):
        old.unlink()
    work = BUILD / "sdist"
    shutil.rmtree(work, ignore_errors=True)
    egg = _folder(work / "egg")
    _setup("egg_info", "--egg-base", egg, "sdist", "--formats", "tar", "--dist-dir", work)
    (made,) = work.glob("*.tar")
    return _same_tar(made, output / (made.name + ".gz"))


def _setup(*arguments: object, environment: dict[str, str] | None = None) -> None:
    """Run setup.py; what it says is shown only when it fails."""
    inherited = {name: text for name, text in os.environ.items() if name not in CALLERS}
    done = subprocess.run(
        [sys.executable, "setup.py", "--quiet", *map(str, arguments)],
        cwd=REPOSITORY,
        env={**inherited, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        sys.exit(done.stdout)


def _headers() -> Path:
    """Copy CPython's headers to one folder without what Debian puts between.

    Its pyconfig.h only includes that of the processor that is compiled for, from elsewhere. The
    host's own will do: with the limited API only the sizes of C's types matter in it, and those are
    the same on all 64-bit Linux.
    """
    include = Path(sysconfig.get_paths()["include"])
    if not (include / "Python.h").exists():
        sys.exit(f"There are no headers of CPython in {include} (Debian: python3-dev).")
    copy = BUILD / "include"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(include, copy)
    shutil.copyfile(sysconfig.get_config_h_filename(), copy / "pyconfig.h")
    return copy


def _same_zip(source: Path, target: Path) -> Path:
    """Copy a wheel with its entries in order and without times and modes of files here."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        # The folder of the metadata is the last, as the format advises.
        for name in sorted(old.namelist(), key=lambda name: (".dist-info/" in name, name)):
            executable = ".data/scripts/" in name or name.endswith(".so")
            entry = zipfile.ZipInfo(name, _epoch_in_zip())
            entry.create_system = 3  # Unix, as which modes are read
            entry.external_attr = (0o100755 if executable else 0o100644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(entry, old.read(name), compresslevel=9)
    return target


def _same_tar(source: Path, target: Path) -> Path:
    """Compress an archive with its entries in order and without times, owners and modes here."""
    plain = io.BytesIO()
    with tarfile.open(source) as old, tarfile.open(
        fileobj=plain, mode="w", format=tarfile.PAX_FORMAT
    ) as new:
        for entry in sorted(old.getmembers(), key=lambda entry: entry.name):
            executable = entry.isdir() or bool(entry.mode & 0o100)
            entry.mode = 0o755 if executable else 0o644
            entry.uid = entry.gid = 0
            entry.uname = entry.gname = ""
            entry.mtime = _epoch()
            entry.pax_headers = {}
            new.addfile(entry, old.extractfile(entry) if entry.isfile() else None)
    with target.open("wb") as file, gzip.GzipFile(
        filename="", mode="wb", fileobj=file, mtime=_epoch()
    ) as compressed:
        compressed.write(plain.getvalue())
    return target


def _epoch() -> int:
    """The time of the commit, in seconds since 1970, or what SOURCE_DATE_EPOCH says."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given:
        return max(int(given), EARLIEST)
    asked = subprocess.run(
        ["git", "log", "-1", "--format=%ct"], cwd=REPOSITORY, capture_output=True, text=True
    )
    return int(asked.stdout) if asked.returncode == 0 else EARLIEST


def _epoch_in_zip() -> tuple[int, int, int, int, int, int]:
    return time.gmtime(_epoch())[:6]


def _folder(path: Path) -> Path:
    path.mkdir(parents=True)
    return path


if __name__ == "__main__":
    main()
