from __future__ import annotations

import json
from pathlib import Path

from mlci.config.file import json_schema

ROOT = Path(__file__).parents[3]


def test_json_schema__is_the_committed_one() -> None:
    assert (ROOT / "schema/mlci.schema.json").read_bytes() == json_schema()


def test_json_schema__is_closed_to_unknown_keys() -> None:
    tables = json.loads(json_schema())["$defs"]
    assert all(table["additionalProperties"] is False for table in tables.values())


def test_json_schema__every_key_is_described() -> None:
    for name, table in json.loads(json_schema())["$defs"].items():
        for key, value in table["properties"].items():
            assert value.get("description") or (name, key) == ("GateTable", ""), f"{name}.{key}"
