"""Times in all their forms."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afterword.errors import Invalid
from afterword.service.timestamps import DAY_MS, LATEST_TIMESTAMP_MS, parse_created_at, parse_timestamp, to_datetime


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


# A leap year's end of March, shortly after the clocks of Paris went forward.
NOW = ms("2024-03-31T12:34:56.789+00:00")


def read(value: Any) -> int:
    return parse_timestamp(value, param="from", now=NOW)


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        (0, "1970-01-01T00:00:00+00:00"),
        # The size of a number tells its unit: seconds, milliseconds, microseconds, nanoseconds.
        (1708509063, "2024-02-21T09:51:03+00:00"),
        (1708509063.25, "2024-02-21T09:51:03.250+00:00"),
        ("1708509063", "2024-02-21T09:51:03+00:00"),
        ("1708509063.250", "2024-02-21T09:51:03.250+00:00"),
        (1708509063250999, "2024-02-21T09:51:03.250+00:00"),
        (1708509063250999999, "2024-02-21T09:51:03.250+00:00"),
        (10**8, "1973-03-03T09:46:40+00:00"),
        (10**11 - 1, "5138-11-16T09:46:39+00:00"),
        (10**11, "1973-03-03T09:46:40+00:00"),
        (LATEST_TIMESTAMP_MS, "9999-12-31T23:59:59.999+00:00"),
        (1708509063250, "2024-02-21T09:51:03.250+00:00"),
        (1708509063250.9, "2024-02-21T09:51:03.250+00:00"),
        ("1708509063250", "2024-02-21T09:51:03.250+00:00"),
        (" 1708509063250 ", "2024-02-21T09:51:03.250+00:00"),
        ("2024-02-21T09:51:03Z", "2024-02-21T09:51:03+00:00"),
        ("2024-02-21T09:51:03z", "2024-02-21T09:51:03+00:00"),
        ("2024-02-21 09:51:03", "2024-02-21T09:51:03+00:00"),
        ("2024-02-21T09:51:03.1", "2024-02-21T09:51:03.100+00:00"),
        ("2024-02-21T09:51:03.123456789+00:00", "2024-02-21T09:51:03.123+00:00"),
        ("2024-02-21T09:51:03-05:30", "2024-02-21T15:21:03+00:00"),
        ("2024-02-21T09:51", "2024-02-21T09:51:00+00:00"),
        ("2024-02-21", "2024-02-21T00:00:00+00:00"),
        ("20240221", "2024-02-21T00:00:00+00:00"),
        ("2024-02-21 | Europe/Paris", "2024-02-20T23:00:00+00:00"),
        ("2024-07-21|Europe/Paris", "2024-07-20T22:00:00+00:00"),
        ("2024-02-21T09:51:03 | America/New_York", "2024-02-21T14:51:03+00:00"),
        # What carries a zone of its own keeps it.
        ("2024-02-21T09:51:03Z | Europe/Paris", "2024-02-21T09:51:03+00:00"),
        ("now", "2024-03-31T12:34:56.789+00:00"),
        ("NOW - 1 Second", "2024-03-31T12:34:55.789+00:00"),
        ("now-90 minutes", "2024-03-31T11:04:56.789+00:00"),
        ("now - 2 hours", "2024-03-31T10:34:56.789+00:00"),
        ("now + 1 day", "2024-04-01T12:34:56.789+00:00"),
        ("now - 2 weeks", "2024-03-17T12:34:56.789+00:00"),
        ("now - 1 month", "2024-02-29T12:34:56.789+00:00"),
        ("now - 1 quarter", "2023-12-31T12:34:56.789+00:00"),
        ("now - 1 year", "2023-03-31T12:34:56.789+00:00"),
        # A day before in Paris was still winter: the same time on the clock.
        ("now - 1 day | Europe/Paris", "2024-03-30T13:34:56.789+00:00"),
        ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999+00:00"),
    ],
)
def test_a_time_is_read_in_each_of_its_forms(given_: Any, expected: str):
    assert to_datetime(read(given_)) == datetime.fromisoformat(expected)


@pytest.mark.parametrize(
    "given_",
    [
        "", " ", "soon", "2024", "2024-13-01", "2024-02-30", "2024-02-21T25:00", "21.02.2024", "02/21/2024",
        "now - 1", "now - month", "now - -1 day", "now * 1 day", "now - 1 fortnight", "now - 1.5 days", "now now",
        "now - 9999999999 days", "now + 9000 years", "now - 60 years", "2024-02-21 | Nowhere", "| Europe/Paris",
        "2024-02-21 | ../../etc/passwd", "2024-02-21 | /etc/passwd", "2024-02-21 | \0", "1969-12-31", "-1",
        -1, -0.001 - 1, 1, 60, 20240221, 10**8 - 1, 86_400_000, 10**20, 10**30, -1708509063, "-1708509063",
        "99999999", float("nan"), float("inf"), 1e308, True, False, "9" * 30, "x" * 10_000,
        "١٢٣٤٥٦٧٨٩٠١٢", "²²²²²²²²²²",
    ],
    ids=lambda value: ascii(value)[:40],
)  # fmt: skip
def test_what_is_no_time_is_refused_by_its_field(given_: Any):
    with pytest.raises(Invalid) as caught:
        read(given_)
    assert (caught.value.param, caught.value.code) == ("from", "invalid_time")
    assert len(caught.value.message) < 200


@settings(deadline=None, database=None)
@given(st.integers(0, LATEST_TIMESTAMP_MS), st.integers(-14 * 60, 14 * 60))
def test_what_is_shown_reads_as_the_same(moment: int, offset: int):
    assert read(to_datetime(moment).isoformat()) == moment
    if moment >= 10**11:
        assert read(moment) == read(str(moment)) == moment
    if DAY_MS < moment < LATEST_TIMESTAMP_MS - DAY_MS:
        elsewhere = to_datetime(moment).astimezone(timezone(timedelta(minutes=offset)))
        assert read(elsewhere.isoformat()) == moment
    assert to_datetime(moment).tzinfo is UTC


@settings(deadline=None, database=None)
@given(
    st.text(max_size=40) | st.from_regex(r"now ?[+-] ?\d{1,12} ?[a-z]{1,9}( ?\| ?[A-Za-z/_.]{1,20})?", fullmatch=True)
)
def test_no_text_is_more_than_refused(text: str):
    with contextlib.suppress(Invalid):
        assert 0 <= read(text) <= LATEST_TIMESTAMP_MS


def test_a_created_at_is_now_where_none_is_given():
    assert parse_created_at(None, param="created_at", now=NOW) == NOW


def test_a_created_at_may_lie_a_day_ahead_and_no_more():
    assert parse_created_at(NOW + DAY_MS, param="created_at", now=NOW) == NOW + DAY_MS
    assert parse_created_at("1970-01-01", param="created_at", now=NOW) == 0
    for ahead in (NOW + DAY_MS + 1, "now + 25 hours", "2124-01-01"):
        with pytest.raises(Invalid, match="more than a day") as caught:
            parse_created_at(ahead, param="feedbacks[0].created_at", now=NOW)
        assert caught.value.code == "future_time"
        assert caught.value.param == "feedbacks[0].created_at"


@pytest.mark.parametrize("number", [0, 0.0, 5, 3600, 99_999_999])
def test_a_number_that_is_no_time_is_never_a_created_at_of_1970(number: float):
    with pytest.raises(Invalid) as caught:
        parse_created_at(number, param="created_at", now=NOW)
    assert (caught.value.param, caught.value.code) == ("created_at", "invalid_time")
