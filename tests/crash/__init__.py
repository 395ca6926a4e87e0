"""One tiny program per misuse of malloc: how each of them ends."""
