"""Checks requests and answers against GitHub's own OpenAPI description."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]

VARIABLE = "MLCI_TEST_OPENAPI"

# OpenAPI has no way to say that these hold slashes.
_WITH_SLASHES = ("ref", "branch", "basehead", "tag", "path")
_SAMPLE = 200
_MEMORY = 20_000

Schema = Mapping[str, Any]


@lru_cache(maxsize=4096)
def pattern(template: str) -> re.Pattern[str]:
    """What matches the paths of a template such as `/repos/{owner}/{repo}`."""

    def group(match: re.Match[str]) -> str:
        return f"(?P<{match[1].replace('-', '_')}>{'.+' if match[1] in _WITH_SLASHES else '[^/]+'})"

    return re.compile(re.sub(r"\\{([\w-]+)\\}", group, re.escape(template)) + r"\Z")


def specificity(template: str) -> tuple[int, int]:
    """Sorts the more literal templates first: `/releases/latest` before `/releases/{release_id}`."""
    parts = template.split("/")
    return -sum("{" not in part for part in parts), -len(parts)


@dataclass
class OpenApi:
    """An OpenAPI 3 document; only what is asked for is looked at."""

    document: Any
    _by_literals: list[tuple[frozenset[str], str]] = field(init=False)
    _validators: dict[tuple[str, ...], Any] = field(default_factory=dict)
    _valid: set[tuple[str, str]] = field(default_factory=set)

    def __post_init__(self) -> None:
        templates = sorted(self.document["paths"], key=specificity)
        self._by_literals = [(frozenset(p for p in t.split("/") if "{" not in p), t) for t in templates]
        self._validator_class = _validator_class(self)

    @staticmethod
    def load(path: Path | str) -> OpenApi:
        """The description in a file; read once a process."""
        return _load(str(Path(path).resolve()))

    def template(self, method: str, path: str) -> str | None:
        """The template under which the description knows this operation."""
        there = frozenset(path.split("/"))
        for literals, template in self._by_literals:
            if (
                literals <= there
                and pattern(template).match(path)
                and method.lower() in self.document["paths"][template]
            ):
                return template
        return None

    def validate_request(self, method: str, path: str, query: Mapping[str, str], body: object = None) -> list[str]:
        """What is wrong with a request; `path` decoded, without its query."""
        template = self.template(method, path)
        if template is None:
            return [f"{method} {path}: the description knows no such operation"]
        operation = self.document["paths"][template][method.lower()]
        parameters = [self.resolve(p) for p in operation.get("parameters", ())]
        values = pattern(template).match(path)
        found = [
            *self._query({p["name"]: p for p in parameters if p["in"] == "query"}, query),
            *self._path([p for p in parameters if p["in"] == "path"], values.groupdict() if values else {}),
            *self._body((method, template, "request"), operation.get("requestBody"), body),
        ]
        return [f"{method} {path}: {complaint}" for complaint in found]

    def validate_response(self, method: str, path: str, status: int, body: object = None) -> list[str]:
        """What is wrong with an answer."""
        template = self.template(method, path)
        if template is None:
            return [f"{method} {path}: the description knows no such operation"]
        responses = self.document["paths"][template][method.lower()]["responses"]
        known = responses.get(str(status))
        where = f"{method} {path} answered {status}"
        if status >= 400:
            # Of refusals the description leaves out most, and of the rest half of the properties.
            content = self.resolve(known or {}).get("content")
            refusal = _json_schema(content) or {"$ref": "#/components/schemas/basic-error"}
            return [
                f"{where}: {_said(e)}"
                for e in self._validator((method, template, str(status)), refusal).iter_errors(body)
            ]
        if known is None:
            return [f"{where}: the description knows no such status here"]
        schema = _json_schema(self.resolve(known).get("content"))
        if schema is None:
            return [] if body is None else [f"{where}: the description knows no body here"]
        return [f"{where}: {c}" for c in self._complaints((method, template, str(status)), schema, body)]

    def resolve(self, schema: Any) -> Any:
        """What a `$ref` stands for, or the thing itself."""
        while isinstance(schema, dict) and "$ref" in schema:
            node = self.document
            for part in schema["$ref"].removeprefix("#/").split("/"):
                node = node[part.replace("~1", "/").replace("~0", "~")]
            schema = node
        return schema

    def errors(self, reference: str, instance: object) -> list[Any]:
        """What is wrong with `instance` under a referenced schema; remembers what was right."""
        memory = (reference, json.dumps(instance, sort_keys=True))
        if memory in self._valid:
            return []
        found = list(self._validator((reference,), self.resolve({"$ref": reference})).iter_errors(instance))
        if not found:
            if len(self._valid) > _MEMORY:
                self._valid.clear()
            self._valid.add(memory)
        return found

    def _validator(self, key: tuple[str, ...], schema: Schema) -> Any:
        if key not in self._validators:
            self._validators[key] = self._validator_class(schema, format_checker=_FORMATS)
        return self._validators[key]

    def _query(self, known: Mapping[str, Any], query: Mapping[str, str]) -> Iterator[str]:
        for name, text in query.items():
            if name not in known:
                yield f"unknown query parameter {name!r}"
                continue
            yield from self._parameter("query", name, self.resolve(known[name]["schema"]), text)
        for name, parameter in known.items():
            if parameter.get("required") and name not in query:
                yield f"the query parameter {name!r} is missing"

    def _path(self, parameters: Iterable[Any], values: Mapping[str, str]) -> Iterator[str]:
        for parameter in parameters:
            text = values[parameter["name"].replace("-", "_")]
            yield from self._parameter("path", parameter["name"], self.resolve(parameter["schema"]), text)

    def _parameter(self, place: str, name: str, schema: Schema, text: str) -> Iterator[str]:
        value = _coerced(schema, text)
        for error in self._validator((place, name, str(id(schema))), schema).iter_errors(value):
            yield f"{place} parameter {name!r}: {_said(error)}"

    def _body(self, key: tuple[str, ...], known: Any, body: object) -> Iterator[str]:
        request = self.resolve(known) or {}
        schema = _json_schema(request.get("content"))
        if schema is None:
            if body is not None and not request.get("content"):
                yield "the description knows no body here"
        elif body is not None:
            yield from self._complaints(key, schema, body)
        elif request.get("required"):
            yield "the body is missing"

    def _complaints(self, key: tuple[str, ...], schema: Schema, instance: object) -> Iterator[str]:
        for error in self._validator(key, schema).iter_errors(instance):
            yield f"body{error.json_path[1:]}: {_said(error)}"
        yield from self._unknown(schema, instance, "body")

    def _unknown(self, schema: Any, instance: object, where: str) -> Iterator[str]:
        """Properties that no branch of the schema lists, where it lists any at all."""
        schemas = list(self._branches(schema))
        if isinstance(instance, list):
            for position, item in enumerate(instance):
                for branch in schemas:
                    if "items" in branch:
                        yield from self._unknown(branch["items"], item, f"{where}[{position}]")
            return
        if not isinstance(instance, dict):
            return
        known: dict[str, list[Any]] = {}
        for branch in schemas:
            for name, value in branch.get("properties", {}).items():
                known.setdefault(name, []).append(value)
        for name, value in instance.items():
            if name in known:
                yield from self._unknown({"anyOf": known[name]}, value, f"{where}.{name}")
            elif known and not any(s.get("additionalProperties") and "properties" not in s for s in schemas):
                yield f"{where}: unknown property {name!r}"

    def _branches(self, schema: Any) -> Iterator[Schema]:
        schema = self.resolve(schema)
        yield schema
        for keyword in ("allOf", "anyOf", "oneOf"):
            for branch in schema.get(keyword, ()):
                yield from self._branches(branch)


@lru_cache(maxsize=4)
def _load(path: str) -> OpenApi:
    document = json.loads(Path(path).read_bytes())
    for name in ("pull-request", "pull-request-simple"):
        head = document["components"]["schemas"].get(name, {}).get("properties", {}).get("head", {})
        if "repo" in head.get("properties", {}):
            # GitHub answers null where the fork is gone; its description does not say so.
            head["properties"]["repo"] = {"allOf": [head["properties"]["repo"]], "nullable": True}
    return OpenApi(document)


def _json_schema(content: Any) -> Schema | None:
    for media in ("application/json", "application/json; charset=utf-8"):
        if content and media in content:
            schema: Schema = content[media]["schema"]
            return schema
    return None


def _said(error: Any) -> str:
    text = str(error.message)
    return text if len(text) <= _SAMPLE else f"{text[:_SAMPLE]}... ({error.validator})"


def _coerced(schema: Schema, text: str) -> object:
    kinds = {schema.get("type"), *(branch.get("type") for branch in schema.get("oneOf", ()))}
    if "integer" in kinds and re.fullmatch(r"-?\d+", text) and "string" not in kinds:
        return int(text)
    if "boolean" in kinds and text in {"true", "false"}:
        return text == "true"
    return text


Keyword = Callable[[Any, Any, Any, Any], Iterable[Any] | None]


def _validator_class(api: OpenApi) -> Any:
    """Draft 4 is what OpenAPI 3.0 grew from; it differs in `nullable`, and here in where references lead."""

    def nullable(keyword: Keyword) -> Keyword:
        def checked(validator: Any, value: Any, instance: Any, schema: Any) -> Iterable[Any] | None:
            return () if instance is None and schema.get("nullable") else keyword(validator, value, instance, schema)

        return checked

    def reference(_: Any, value: Any, instance: Any, __: Any) -> Iterable[Any]:
        return api.errors(value, instance)

    draft = jsonschema.Draft4Validator
    keywords = {name: nullable(keyword) for name, keyword in draft.VALIDATORS.items()}
    return jsonschema.validators.extend(draft, keywords | {"$ref": reference})


_FORMATS = jsonschema.FormatChecker(formats=())


@_FORMATS.checks("date-time")  # type: ignore[untyped-decorator]
def _is_date_time(value: object) -> bool:
    return not isinstance(value, str) or bool(
        re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", value)
    )


@_FORMATS.checks("uri")  # type: ignore[untyped-decorator]
def _is_uri(value: object) -> bool:
    # GitHub has "" where it has no URL.
    return not isinstance(value, str) or bool(re.fullmatch(r"([A-Za-z][A-Za-z0-9+.-]*:\S+)?", value))
