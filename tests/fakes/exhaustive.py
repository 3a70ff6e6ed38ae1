"""Whether everything is tried that can be: what takes minutes is done once a week, and a part of it each time."""

from __future__ import annotations

import os

VARIABLE = "MLCI_TEST_EXHAUSTIVE"
EXHAUSTIVE = os.environ.get(VARIABLE) == "1"
