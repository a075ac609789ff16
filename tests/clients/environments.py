"""Published clients, each in a virtual environment of its own: made once, kept for the next run."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
# It requires all that the older releases require, in the same versions: these are installed beside it, without
# resolving and unpacking the same dependencies for each.
NEWEST = "adaptive-sdk==0.14.2"

COMPLETE_LISTS = {"training"}
"""Lists of all that is installed. TRL alone would bring torch, which its checks of formats do not need."""


def python_with(name: str) -> Path:
    """Return the interpreter of an environment with what `NAME.txt` lists, or with the release that the name is, such
    as adaptive-sdk==0.1.1; make it where it is not there yet.

    Environments are kept in AFTERWORD_TEST_CLIENTS, or in the user's cache directory.
    """
    requirements = HERE / f"{name}.txt"
    what = [name] if "==" in name else ["--requirement", str(requirements)]
    text = name if "==" in name else requirements.read_text()
    mark = hashlib.sha256(f"{sys.version} {text}".encode()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "afterword-test-clients"
    base = Path(os.environ.get("AFTERWORD_TEST_CLIENTS") or cache)
    base.mkdir(parents=True, exist_ok=True)
    place = base / f"{name}-{mark}"
    python = place / "bin" / "python"
    with (base / f"{name}.lock").open("w") as lock:
        # Several test processes may want the same at once.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "ready").exists():
            shutil.rmtree(place, ignore_errors=True)
            subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
            if name in COMPLETE_LISTS:
                what = ["--no-deps", *what]
            if "==" in name and name != NEWEST:
                what = ["--no-deps", *what]
                [packages] = place.glob("lib/python*/site-packages")
                [dependencies] = python_with(NEWEST).parents[1].glob("lib/python*/site-packages")
                (packages / "dependencies.pth").write_text(f"{dependencies}\n")
            install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-compile"]
            subprocess.run([*install, "--disable-pip-version-check", *what], check=True)
            (place / "ready").touch()
    return python
