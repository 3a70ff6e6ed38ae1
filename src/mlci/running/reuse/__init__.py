"""Takes the last result of a run while everything that it depends on is the same."""

from mlci.running.reuse.key import Key, Request, make
from mlci.running.reuse.reuse import FOLDER, Miss, Reuse, observe_environ

__all__ = ["FOLDER", "Key", "Miss", "Request", "Reuse", "make", "observe_environ"]
