"""Huge pages on request: no memory more than without, and none kept."""

from __future__ import annotations

import platform
import re
from pathlib import Path

import pytest
from support.preload import Preload
from support.programs import Programs, cases_in

HUGE_PAGES = Path(__file__).parent / "programs" / "huge_pages.c"
_SYSTEM = Path("/sys/kernel/mm/transparent_hugepage")


def _possible() -> bool:
    """Whether this kernel makes huge pages on request (Linux 6.1), and of 2 MiB."""
    version = re.match(r"(\d+)\.(\d+)", platform.release())
    if version is None or tuple(map(int, version.groups())) < (6, 1):
        return False
    try:
        allowed = "[never]" not in (_SYSTEM / "enabled").read_text()
        return allowed and (_SYSTEM / "hpage_pmd_size").read_text().strip() == str(2 << 20)
    except OSError:
        return False


@pytest.mark.skipif(not _possible(), reason="the kernel makes no huge pages on request")
@pytest.mark.parametrize("case", cases_in(HUGE_PAGES))
def test_case(case: str, each_preload: Preload, programs: Programs) -> None:
    with_huge_pages = each_preload.with_settings(huge_pages="1")
    with_huge_pages.run(programs.build(HUGE_PAGES), case).assert_clean()
