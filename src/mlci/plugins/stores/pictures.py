"""Pictures that comments show: PNG files on the data branch, each under the digest of its content."""

from __future__ import annotations

import hashlib

ROOT = "pictures"
DEPTH = 3  # levels from there to a picture

# Every reader of baselines fetches the folders at the top of the branch: a level with one folder in it keeps the 256
# shards, 8 kB of digests that cannot be compressed, from coming with them.
_LEVEL = "png"


def path(content: bytes) -> str:
    """Where a picture lies, with forward slashes."""
    sha256 = hashlib.sha256(content).hexdigest()
    return f"{ROOT}/{_LEVEL}/{sha256[:2]}/{sha256}.png"
