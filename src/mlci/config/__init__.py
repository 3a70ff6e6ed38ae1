"""The configuration: types, checks, and the runs that it describes."""

from mlci.config.checking import is_plain
from mlci.config.loading import Config, load, of_table, read_toml, unreadable
from mlci.config.runs import DEFAULT_PROFILE, Run, profile_for, resolve, seconds, size

__all__ = [
    "DEFAULT_PROFILE",
    "Config",
    "Run",
    "is_plain",
    "load",
    "of_table",
    "profile_for",
    "read_toml",
    "resolve",
    "seconds",
    "size",
    "unreadable",
]
