"""What would fail later, found now: one file an area, each a `check` that looks and changes nothing."""
