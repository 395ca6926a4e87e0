"""config(): reading, setting, and errors that help."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import trimalloc


@pytest.fixture(autouse=True)
def unchanged_delay() -> Iterator[None]:
    before = trimalloc.config()["release_delay_ms"].value
    yield
    trimalloc.config(release_delay_ms=before)


def test_every_setting_has_a_value_and_a_use() -> None:
    settings = trimalloc.config()
    assert {"mode", "limit", "soft_limit", "release_delay_ms", "check", "arena"} <= set(settings)
    for name, setting in settings.items():
        assert setting.name == name
        assert setting.help
        assert setting.variable == f"TRIMALLOC_{name.upper()}"


def test_a_change_is_seen_at_once() -> None:
    assert trimalloc.config(release_delay_ms=321)["release_delay_ms"].value == "321"
    assert trimalloc.config()["release_delay_ms"].value == "321"


def test_a_typo_names_the_nearest_setting() -> None:
    with pytest.raises(ValueError, match="did you mean 'release_delay_ms'"):
        trimalloc.config(relase_delay_ms=1)


def test_nothing_changes_when_one_name_is_wrong() -> None:
    before = trimalloc.config()["release_delay_ms"].value
    with pytest.raises(ValueError, match="there is no setting 'unknown'"):
        trimalloc.config(release_delay_ms=999, unknown=1)
    assert trimalloc.config()["release_delay_ms"].value == before


def test_a_bad_value_says_what_the_setting_is_for() -> None:
    with pytest.raises(ValueError, match="'soon' is no value for release_delay_ms: "):
        trimalloc.config(release_delay_ms="soon")


def test_a_setting_of_the_start_names_its_variable() -> None:
    with pytest.raises(ValueError, match="can only be given at start: set TRIMALLOC_ARENA=1G"):
        trimalloc.config(arena="1G")
