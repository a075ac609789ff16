"""Find the Chromium that the tests of the web page drive, or install one: `python scripts/browser.py` prints its path.

A browser of the system is preferred (AFTERWORD_BROWSER names one). Without one, Debian's package is installed if the
user is allowed to, else Playwright's own download is tried.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
MACOS_PATH = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"


def find() -> str | None:
    """Return the path of a browser; None without one."""
    configured_path = os.environ.get("AFTERWORD_BROWSER")
    if configured_path:
        return configured_path
    system_path = next(filter(None, map(shutil.which, NAMES)), None)
    if system_path or Path(MACOS_PATH).exists():
        return system_path or MACOS_PATH
    with sync_playwright() as playwright:
        playwright_path = playwright.chromium.executable_path
    return playwright_path if Path(playwright_path).exists() else None


def install() -> None:
    """Install a browser in any way that this machine allows."""
    if shutil.which("apt-get") and os.geteuid() == 0:
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-qq"], env=environment, check=False)
        command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium", "fonts-liberation"]
        subprocess.run(command, env=environment, check=False, stdout=subprocess.DEVNULL)
    if find() is None:
        subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=False)


if __name__ == "__main__":
    if find() is None:
        install()
    if (path := find()) is None:
        sys.exit("The tests of the web page need Chromium or Chrome: install one, or name one in AFTERWORD_BROWSER.")
    print(path)
