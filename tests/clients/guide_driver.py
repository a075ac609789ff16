"""Runs within the environment of a client, and does what docs/guides/clients.md says; prints what it saw as JSON.

    python guide_driver.py < GIVEN

GIVEN is JSON. `blocks` are the block of the guide, by what it meets: `good` a model that answers, `unauthorized`
a key that nobody has, `not_found` a model that nobody has, `busy` a model of a provider that is busy. `answer` is an
expression for the text. `stream` and `tool` follow the good block: they set `text` or `call`, and `completion_id`. They
find its names and `names`: the `url` and `key` of the server, the models `good` and `tools`, which calls get_weather.
"""

from __future__ import annotations

import json
import sys
from typing import Any


def names_after(block: str, **names: Any) -> dict[str, Any]:
    """Run a block; return the names that it sets."""
    exec(compile(block, "docs/guides/clients.md", "exec"), names)
    return names


def words_of_error(block: str) -> list[str]:
    """Return the classes of what a block raises, with their packages, its HTTP status and text; of its causes, too."""
    try:
        names_after(block)
    except Exception as raised:
        error, words = raised, []
        while error:
            words += [f"{kind.__module__.partition('.')[0]}.{kind.__name__}" for kind in type(error).__mro__[:-3]]
            words += [str(getattr(error, name)) for name in ("status_code", "code") if hasattr(error, name)]
            words.append(str(error))
            error = error.__cause__ or error.__context__
        return words
    return ["no error"]


def main() -> None:
    given = json.load(sys.stdin)
    blocks = given["blocks"]
    names = names_after(blocks["good"], **given["names"])
    printed = {"whole": [str(names["completion_id"]), eval(given["answer"], names)]}
    if given["stream"]:
        streamed = names_after(given["stream"], **names)
        printed["streamed"] = [str(streamed["completion_id"]), streamed["text"]]
    if given["tool"]:
        called = names_after(given["tool"], **names)
        printed["called"] = [str(called["completion_id"]), *called["call"]]
    printed["errors"] = {name: words_of_error(block) for name, block in blocks.items() if name != "good"}
    print(json.dumps(printed))


if __name__ == "__main__":
    main()
