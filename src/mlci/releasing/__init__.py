"""From a measured commit to a released version: which model, by which policy, with which files."""
