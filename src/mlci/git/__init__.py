"""Git as mlci uses it: commands, and the user's remote from a private repository."""

from mlci.git.command import Config, Git, Head, common_folder, head, top_level
from mlci.git.remotes import Remote, authorization, private_repository, remote, talk, without_credentials

__all__ = [
    "Config",
    "Git",
    "Head",
    "Remote",
    "authorization",
    "common_folder",
    "head",
    "private_repository",
    "remote",
    "talk",
    "top_level",
    "without_credentials",
]
