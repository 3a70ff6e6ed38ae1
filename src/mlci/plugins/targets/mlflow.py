"""A target in an MLflow model registry: a version there for a version here, an alias for what is served."""

from __future__ import annotations

import tempfile
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

from mlci.core import versions
from mlci.errors import DeployError
from mlci.plugins.targets import rules
from mlci.plugins.targets.interface import Deployed, Package, TargetSite, TargetStatus, sha256_of
from mlci.plugins.targets.refusals import refusals

_MODEL, _VERSION, _DIGEST = "mlci.model", "mlci.version", "mlci.digest"
_FOLDER = "release"
_FINISHED = "FINISHED"
_HINT = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, give access."


@dataclass(frozen=True, kw_only=True)
class MlflowTarget:
    """Logs the files as artifacts of a run, registers them as a model version with tags, and moves an alias.

    The version is registered when its files were read back: one without tags of mlci is somebody else's. MLflow has no
    compare-and-swap: the alias is read before and after, two that write in the same instant may both believe it.

    Args:
        tracking_uri: Of the server; its registry is used.
        registered_name: The name in MLflow's registry; default: the model's.
        alias: Which says what is served.
        experiment: Of the runs that hold the files.
        site: Where mlci runs.
    """

    name: ClassVar[str] = "mlflow"
    stages: ClassVar[bool] = True

    tracking_uri: str = field(repr=False)
    registered_name: str | None = None
    alias: str = "production"
    experiment: str = "mlci"
    site: TargetSite

    def status(self, model: str) -> TargetStatus:
        """What is there, see `Target.status`."""
        with self._refusals():
            return self._status(_client(self.tracking_uri), model)

    def upload(self, package: Package) -> None:
        """Log, read back, register, see `Target.upload`."""
        with self._refusals():
            rules.check_package(package)
            client = _client(self.tracking_uri)
            held = rules.is_held(package, self._status(client, package.model).kept)
            if held:
                run_id = self._numbers(client, package.model)[package.version].run_id
            else:
                run_id = self._run(client, package)
                for file in package.files:
                    client.log_artifact(run_id, str(package.folder / file.name), _FOLDER)
            _check(client, run_id, package)
            if not held:
                self._register(client, run_id, package)

    def switch(self, model: str, to: Deployed, *, expected: Deployed | None) -> None:
        """Move the alias, see `Target.switch`."""
        with self._refusals():
            rules.check_version(to.version)
            client = _client(self.tracking_uri)
            if not rules.may_switch(self._status(client, model), to, expected):
                return
            number = self._numbers(client, model)[to.version].version
            client.set_registered_model_alias(self._registered(model), self.alias, number)
            current = self._status(client, model).current
            if current != to:
                raise rules.conflict(to, expected, current)

    def describe(self) -> str:
        """The server, in words."""
        parts = urlsplit(self.tracking_uri)
        return f"MLflow {parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    def _refusals(self) -> AbstractContextManager[None]:
        return refusals(self, extra="mlflow", hint=_HINT)

    def _registered(self, model: str) -> str:
        rules.check_model(model)
        found = self.registered_name or model
        if "'" in found or "/" in found or ":" in found:
            raise DeployError(f"{found!r} cannot be a name in MLflow's registry")
        return found

    def _status(self, client: Any, model: str) -> TargetStatus:  # noqa: ANN401 - MLflow's client
        kept = {str(item.version): _deployed(item) for item in self._versions(client, model)}
        try:
            number = client.get_registered_model(self._registered(model)).aliases.get(self.alias)
        except Exception as error:
            if not _is(error, "RESOURCE_DOES_NOT_EXIST"):
                raise
            number = None
        if number is not None and str(number) not in kept:
            raise DeployError(
                f"the alias {self.alias} is on version {number}, which mlci did not deploy",
                hint="Remove the alias, or choose another one.",
            )
        return TargetStatus(
            current=None if number is None else kept[str(number)],
            kept=rules.sorted_by_version(dict.fromkeys(kept.values())),
        )

    def _numbers(self, client: Any, model: str) -> dict[str, Any]:  # noqa: ANN401 - MLflow's client
        """MLflow's version of each of ours; of two that were registered at once the first."""
        return {item.tags[_VERSION]: item for item in reversed(self._versions(client, model))}

    def _versions(self, client: Any, model: str) -> list[Any]:  # noqa: ANN401 - MLflow's client
        """MLflow's versions that are ours, the oldest first."""
        found = [
            item
            for item in client.search_model_versions(f"name='{self._registered(model)}'")
            if item.tags.get(_MODEL) == model and versions.parse(item.tags.get(_VERSION, "")) and _DIGEST in item.tags
        ]
        return sorted(found, key=lambda item: int(item.version))

    def _run(self, client: Any, package: Package) -> str:  # noqa: ANN401 - MLflow's client
        """The run that holds the files: that of an earlier try, or a new one."""
        experiment = client.get_experiment_by_name(self.experiment)
        experiment_id = experiment.experiment_id if experiment else client.create_experiment(self.experiment)
        wanted = f"tags.`{_DIGEST}` = '{package.digest}' and tags.`{_MODEL}` = '{package.model}'"
        for run in client.search_runs([experiment_id], wanted, max_results=1):
            return str(run.info.run_id)
        name = f"{package.model} {package.version}"
        return str(client.create_run(experiment_id, tags=_tags(package), run_name=name).info.run_id)

    def _register(self, client: Any, run_id: str, package: Package) -> None:  # noqa: ANN401 - MLflow's client
        registered = self._registered(package.model)
        try:
            client.create_registered_model(registered)
        except Exception as error:
            if not _is(error, "RESOURCE_ALREADY_EXISTS"):
                raise
        source = f"{client.get_run(run_id).info.artifact_uri}/{_FOLDER}"
        client.create_model_version(registered, source, run_id, tags=_tags(package))
        client.set_terminated(run_id, _FINISHED)


def _client(tracking_uri: str) -> Any:  # noqa: ANN401 - MLflow's client
    from mlflow import MlflowClient  # noqa: PLC0415 - slow, and only for this target

    return MlflowClient(tracking_uri, registry_uri=tracking_uri)


def _check(client: Any, run_id: str, package: Package) -> None:  # noqa: ANN401 - MLflow's client
    with tempfile.TemporaryDirectory(prefix="mlci-target-") as folder:
        for file in package.files:
            path = Path(client.download_artifacts(run_id, f"{_FOLDER}/{file.name}", folder))
            rules.check_file(file, path.stat().st_size, sha256_of(path), "there")
            path.unlink()


def _tags(package: Package) -> dict[str, str]:
    return {_MODEL: package.model, _VERSION: package.version, _DIGEST: package.digest}


def _deployed(item: Any) -> Deployed:  # noqa: ANN401 - MLflow's model version
    return Deployed(version=item.tags[_VERSION], digest=item.tags[_DIGEST])


def _is(error: Exception, code: str) -> bool:
    return getattr(error, "error_code", None) == code
