"""The catalog, where another server's changes come between a write here and what follows it."""

from __future__ import annotations

from uuid import UUID

from afterword.store.catalog import Catalog
from afterword.store.people import MemberRow, UserRow


def test_membership_change_during_catalog_reload_is_not_lost():
    catalog, loaded = Catalog(), Catalog()
    user = UserRow(
        number=1, id=UUID(int=1), email="ann@example.com", name="", is_system=False, created_at=0, deleted_at=None
    )
    loaded.people.keep(user)
    loaded.people.keep(MemberRow(team=1, user=1, role=1))

    # Who changes a member holds `people` across the write; the small tables are read before its commit, held after it.
    people = catalog.people
    changes = catalog.changes
    catalog.adopt(loaded)
    people.keep(MemberRow(team=1, user=1, role=2))

    assert catalog.people.find_user("ann@example.com") == user
    assert [member.role for member in catalog.people.memberships(1)] == [2]
    assert catalog.changes > changes + 1
