"""Generate the sync client from the async one: `python scripts/unasync.py`; with `--check`, only compare."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

CLIENT = Path(__file__).parent.parent / "src" / "afterword" / "client"
HEADER = "# Generated from {} by scripts/unasync.py: change that one.\n"

RENAMES = (
    (r"\basync (def|with|for)\b", r"\1"),
    (r"\bawait ", ""),
    (r"\basyncio\.sleep\b", "time.sleep"),
    (r"\bimport asyncio\b", "import time"),
    (r"\bhttpx\.AsyncClient\b", "httpx.Client"),
    (r"\bAsyncIterator\b", "Iterator"),
    (r"\bAsyncGenerator\[(\w+), None\]", r"Generator[\1, None, None]"),
    (r"\bAsyncGenerator\b", "Generator"),
    (r"\baiter_bytes\b", "iter_bytes"),
    (r"\baread\b", "read"),
    (r"\basync_each\b", "each"),
    (
        r"\bAsync(ABTests|Afterword|Chat|Datasets|Embeddings|Feedback|Interactions|Keys|Labels|Models|Projects"
        r"|Sessions)\b",
        r"\1",
    ),
    (r"\b__a(enter|exit)__\b", r"__\1__"),
    (r"\baclose\b", "close"),
    (r"\baclosing\b", "closing"),
    (r"\bafterword\.client\.aio\b", "afterword.client.sync"),
)


def generate(source: Path) -> str:
    """Return the sync version of a module of the async client."""
    text = source.read_text()
    for pattern, replacement in RENAMES:
        text = re.sub(pattern, replacement, text)
    if source.name == "__init__.py":
        text = re.sub(r'\A""".*?"""', '"""The sync client: the async one without its awaits."""', text, flags=re.S)
    text = HEADER.format(f"{source.parent.name}/{source.name}") + text
    ruff = [sys.executable, "-m", "ruff"]
    for command in (["check", "--quiet", "--fix-only", "--select", "I"], ["format", "--quiet"]):
        arguments = [*ruff, *command, "--stdin-filename", str(CLIENT / "sync" / source.name), "-"]
        text = subprocess.run(arguments, input=text, capture_output=True, text=True, check=True).stdout
    return text


def main() -> None:
    """Write the package `sync`, or with `--check` exit with 1 if it is stale."""
    for source in sorted((CLIENT / "aio").glob("*.py")):
        file = CLIENT / "sync" / source.name
        generated_text = generate(source)
        if "--check" not in sys.argv:
            file.parent.mkdir(exist_ok=True)
            file.write_text(generated_text)
        elif not file.exists() or file.read_text() != generated_text:
            sys.exit(f"{file} is not fresh: run `python scripts/unasync.py`.")


if __name__ == "__main__":
    main()
