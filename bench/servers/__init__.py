"""Servers that are measured while a client loads them."""
