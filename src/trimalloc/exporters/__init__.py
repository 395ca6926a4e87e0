"""Results in the forms people keep: text tables, JSON, HTML."""

from __future__ import annotations
