"""Whole C programs of others: lists of them, and inputs for those that Debian packages."""
