"""`mlci verify`: does what is deployed predict what the lab predicted?"""

from __future__ import annotations

from pathlib import Path

import click

from mlci.core.release import Verification
from mlci.project import Invocation, Project
from mlci.releasing import folder as layout
from mlci.releasing.verification import VERIFICATION, Method, Request, check, refuse_tokens, verify
from mlci.render.text import counted, plain


def verified(project: Project, folder: Path, request: Request) -> Verification:
    """Check every file of a release by digest, predict its golden examples, write `verification.json`; passed or not.

    Raises:
        UsageError: A token is in the environment of a job.
        DeployError: There is no release, or a file of it is another.
        ConfigError: The configuration does not say how to predict.
        VerifyError: The release has no golden examples.
    """
    refuse_tokens(project.invocation.environ)
    return verify(project, layout.read(folder), request)


@click.command("verify")
@click.option(
    "--release",
    "folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="The release's folder; default: .mlci/release.",
)
@click.option(
    "--method",
    type=click.Choice(["load", "http"]),
    help="How to predict; default: load if verify.command is set and no --url is given, else http.",
)
@click.option("--target", help="The target whose url is asked if neither --url nor verify.url is given.")
@click.option("--url", help="The address to ask; default: verify.url.")
@click.option(
    "--python",
    help="Load in this interpreter, or environment's folder, not in a clean environment of the recorded packages.",
)
@click.option("--json", "as_json", is_flag=True, help="Print verification.json.")
@click.pass_obj
def command(
    invocation: Invocation,
    /,
    folder: Path | None,
    method: Method | None,
    target: str | None,
    url: str | None,
    python: str | None,
    *,
    as_json: bool,
) -> None:
    """Prove that a release predicts what the lab predicted; exit 7 if not.

    \b
    load: runs [models.X.verify] command in a clean environment of the recorded packages (made by uv), in a folder
          of the release's files; {root} in it is the configuration's folder. It reads MLCI_GOLDEN, JSON lines of
          {id, input}, and writes MLCI_PREDICTIONS, JSON lines of {id, prediction[, latency_s]}.
    http: POSTs each input as JSON to what is deployed, and loads nothing.

    Models are loaded, so it runs in a job without a token. It writes .mlci/verification.json, bound to the release's
    digest, which promote and rollback read.

    \b
    Examples:
      mlci verify
      mlci verify --url https://churn.example.com/predict
      mlci verify --python .venv
    """
    project = Project.open(invocation)
    where = invocation.folder / folder if folder else project.workspace.folder / layout.FOLDER
    document = verified(project, where, Request(method=method, target=target, url=url, python=python))
    invocation.actions.set_outputs(
        {
            "model": document.model,
            "version": document.version,
            "digest": document.digest,
            "verified": str(document.passed).lower(),
        }
    )
    if as_json:
        click.echo(project.workspace.path(VERIFICATION).read_text(encoding="utf-8"), nl=False)
    check(document)
    if not as_json:
        examples = counted(document.compared, "golden example")
        took = f", {document.latency_s:.3g} s each" if document.latency_s is not None else ""
        click.echo(f"verified {document.model} {plain(document.version)}: {examples} agree{took}")
