"""Models: what completions come from. A key not seen before is registered as logged-only."""

from __future__ import annotations

from afterword.ids import uuid7
from afterword.service.context import Context
from afterword.service.values import check_text
from afterword.store.catalog import ModelRow, add_model


async def model_number(context: Context, key: str) -> int:
    """Return the number of a model by key or id; register a key not seen before."""
    found = context.catalog.find_model(key)
    if found is None:
        check_text(key, param="model", most=200, least=1)
        row = ModelRow(number=0, id=uuid7(), key=key, created_at=context.now())
        found = await context.store.write(lambda transaction: add_model(transaction, row))
        context.catalog.keep(found)
    return found.number
