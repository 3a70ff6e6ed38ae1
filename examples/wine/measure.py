"""Writes how large a file is, as a metric."""

import json
import sys
from pathlib import Path

Path("size.json").write_text(json.dumps({"kilobytes": Path(sys.argv[1]).stat().st_size / 1000}))
