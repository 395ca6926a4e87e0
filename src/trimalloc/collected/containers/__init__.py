"""Ready-made containers of a collected heap: records like any other, filled in bulk too."""
