"""The help texts are the golden ones; rewrite those with `python tests/golden/help_texts.py`."""

from __future__ import annotations

import pytest
from golden.help_texts import COMMANDS, golden_file, help_text


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_is_the_golden_text(command: str) -> None:
    assert help_text(command) == golden_file(command).read_text(encoding="utf-8")
