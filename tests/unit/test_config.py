"""Settings: one table, and what each source of values may say."""

from __future__ import annotations

import dataclasses

import pytest

from afterword.config import SETTINGS, SettingError, Settings, load


def test_without_anything_given_each_setting_has_its_default():
    settings = load({}, {})
    assert {setting.name: getattr(settings, setting.name) for setting in SETTINGS} == {
        setting.name: frozenset[str]() if setting.kind == "words" else setting.default for setting in SETTINGS
    }
    assert (settings.host, settings.port, settings.data) == ("127.0.0.1", 7400, "afterword-data")


def test_words_of_a_setting_are_separated_by_commas_and_checked():
    assert load({}, {"AFTERWORD_UNLOGGED_OPERATIONS": "speech, embeddings,"}).unlogged_operations == {
        "speech",
        "embeddings",
    }
    with pytest.raises(SettingError, match="AFTERWORD_UNLOGGED_OPERATIONS has 'cooking'; allowed are embeddings"):
        load({}, {"AFTERWORD_UNLOGGED_OPERATIONS": "speech,cooking"})


def test_the_table_and_the_settings_have_the_same_names_in_the_same_order():
    assert [setting.name for setting in SETTINGS] == [field.name for field in dataclasses.fields(Settings)]


def test_a_flag_wins_over_the_environment_and_that_over_the_default():
    environment = {"AFTERWORD_PORT": "8000", "AFTERWORD_HOST": "0.0.0.0"}
    settings = load({"port": "9000", "host": None}, environment)
    assert (settings.port, settings.host) == (9000, "0.0.0.0")


def test_an_empty_variable_is_as_none():
    assert load({}, {"AFTERWORD_PORT": ""}).port == 7400


def test_every_setting_has_a_variable_a_flag_and_a_help():
    for setting in SETTINGS:
        assert setting.variable == f"AFTERWORD_{setting.name.upper()}"
        assert setting.flag.startswith("--")
        assert "_" not in setting.flag
        assert setting.help.endswith(".")


def test_secret_settings_have_no_flag_visible_to_other_users():
    assert [setting.name for setting in SETTINGS if setting.secret] == ["api_key", "secret_key"]


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("65536", 65_536),
        ("64MB", 64_000_000),
        ("64MiB", 64 << 20),
        ("64mib", 64 << 20),
        (" 2 GiB ", 2 << 30),
        ("100kb", 100_000),
        ("100KiB", 102_400),
        ("1gb", 10**9),
        ("2048B", 2048),
        (2048, 2048),
    ],
)
def test_sizes_are_bytes_or_numbers_with_a_unit(text: str | int, size: int):
    assert load({"max_body": text}, {}).max_body == size


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("port", "http", ["--port", "'http'", "whole number"]),
        ("port", "70000", ["--port", "'70000'", "65,535"]),
        ("port", "-1", ["--port", "'-1'", "at least 0"]),
        ("port", "7.5", ["--port", "'7.5'", "whole number"]),
        ("max_body", "10 parsecs", ["--max-body", "'10 parsecs'", "MiB"]),
        ("max_body", "-5", ["--max-body", "'-5'"]),
        ("max_body", "12", ["--max-body", "'12'", "at least 1,024"]),
        ("max_labels", "many", ["--max-labels", "'many'"]),
        ("log_level", "loud", ["--log-level", "'loud'", "debug, info, warning, error"]),
        ("workers", "0", ["--workers", "'0'", "at least 1"]),
        ("workers", "2", ["workers is 2", "one server process"]),
    ],
)
def test_bad_setting_is_refused_with_its_name_value_and_what_is_allowed(name: str, value: str, words: list[str]):
    with pytest.raises(SettingError) as refused:
        load({name: value}, {})
    assert [word for word in words if word not in str(refused.value)] == []


def test_a_bad_value_of_the_environment_is_refused_by_the_variables_name():
    with pytest.raises(SettingError, match=r"AFTERWORD_MAX_IMAGE is 'big'"):
        load({}, {"AFTERWORD_MAX_IMAGE": "big"})
