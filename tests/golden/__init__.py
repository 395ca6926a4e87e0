"""Texts that users see, kept as files: a change of one is seen in review, not found by a user."""
