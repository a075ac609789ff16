"""Users, teams and shares by the published adaptive-sdk: what a guest may, as she comes and goes (see conftest.py)."""

from __future__ import annotations

from typing import Any

import pytest

Seen = Any
pytestmark = pytest.mark.timeout(600)


def may(seen: Seen, when: str) -> set[str]:
    """Return what the guest could do."""
    steps = {step.partition(": ")[2]: answer for step, answer in seen.steps.items() if step.startswith(f"{when}: ")}
    assert set(steps) == {"projects", "get", "rate", "register"}
    could = {step for step, answer in steps.items() if answer.get("value")}
    for step in steps.keys() - could:
        assert "may not" in seen.error(f"{when}: {step}")
    return could


def test_a_share_lets_a_team_do_what_its_role_says_and_no_more(seen: Seen):
    if "share" not in seen:
        # 0.1.1 shares nothing: the guest is in the team that owns the project.
        assert may(seen, "annotator") == {"projects", "get", "rate"}
        return
    owner = (f"{seen.prefix}-t", "admin", True)
    for step, role in (("share", "read-only"), ("share more", "annotator"), ("unshare", None)):
        shares = {(one["team"]["key"], one["role"]["key"], one["is_owner"]) for one in seen(step)["shares"]}
        assert shares == {owner} | ({(f"{seen.prefix}-g", role, False)} if role else set())
    assert may(seen, "reader") == {"projects", "get"}
    assert [one["key"] for one in seen("reader: projects")] == [f"{seen.prefix}-p"]
    assert "project:log" not in seen("reader: projects")[0]["permissions"]
    assert may(seen, "annotator") == {"projects", "get", "rate"}
    assert may(seen, "nobody") == set()


def test_members_come_and_go(seen: Seen):
    team = f"{seen.prefix}-g" if "share" in seen else f"{seen.prefix}-t"
    joined = seen("join")
    assert (joined["user"]["name"], joined["team"]["key"], joined["role"]["key"]) == ("Guest", team, "annotator")
    [listed] = [one for one in seen("users") if one["email"] == f"{seen.prefix}@example.com"]
    assert [(one["team"]["key"], one["role"]["key"]) for one in listed["teams"]] == [(team, "annotator")]
    assert seen("leave")["teams"] == []
    assert may(seen, "stranger") == set()


def test_users_are_created_and_deleted(seen: Seen):
    if "user" in seen:
        made = seen("user")
        assert (made["name"], made["email"]) == ("Ada", f"{seen.prefix}-ada@example.com")
        assert [(one["team"]["key"], one["role"]["key"]) for one in made["teams"]] == [("default", "annotator")]
        assert "delete user" in seen
        assert made["email"] not in {one["email"] for one in seen("users then")}


def test_a_service_account_may_what_its_role_says(seen: Seen):
    if "account" in seen:
        assert f"{seen.prefix}-bot@" in seen("account")
        assert seen("account calls")["choices"][0]["message"]["content"] == "Bot"
        assert "may not read" in seen.error("account reads")
