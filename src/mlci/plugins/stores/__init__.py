"""Places where baselines are kept."""
