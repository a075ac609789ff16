"""Starts `afterword` with the names of its threads known to the kernel, so that processor time can be told by thread.

Python does this itself only from 3.14 on.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from afterword.cli import main

_set_native_id = threading.Thread._set_native_id  # pyright: ignore[reportAttributeAccessIssue]


def set_native_id(thread: Any) -> None:
    """Note a thread's id as Python does, and give the kernel its name."""
    _set_native_id(thread)
    with suppress(OSError):
        Path(f"/proc/self/task/{thread.native_id}/comm").write_text(thread.name.removeprefix("afterword-"))


if __name__ == "__main__":
    threading.Thread._set_native_id = set_native_id  # pyright: ignore[reportAttributeAccessIssue]
    main()
