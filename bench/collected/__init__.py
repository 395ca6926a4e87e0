"""Programs that make linked records, one for each way to have them freed."""
