"""Notebooks and percent scripts, through papermill."""
