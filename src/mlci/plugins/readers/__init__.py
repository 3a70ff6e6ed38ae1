"""Metric file formats, one file a family."""
