"""Pictures of a comment: drawn, pushed to the data branch where the token may, shown from the commit that has them."""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from urllib.parse import urlsplit

from mlci import plots
from mlci.context import Context
from mlci.core.documents import Comparison, Record
from mlci.errors import MlciError, StoreError
from mlci.plugins.stores.interface import Gallery
from mlci.plugins.stores.pictures import path
from mlci.project import Project
from mlci.render import exhibition
from mlci.render.allowed import track
from mlci.render.exhibition import Drawing, Exhibition, Plot
from mlci.render.report import Meta
from mlci.render.sparks import curves
from mlci.render.text import counted, plain, size

_MOST_PLOTS = 4
_PLOT_BYTES, _ALL_BYTES = 8_000_000, 32_000_000  # of plots as they are read
_PUSHED_BYTES = 4_000_000  # of all that is pushed for one comment
_PLOT_WIDTH = 340  # pixels of CSS
_MEDIA = ("image/png", "image/jpeg")
_ADDRESS = re.compile(r"https?://[A-Za-z0-9.:-]+(?:/[A-Za-z0-9._-]+){2}")
# A remote's URL: over HTTP, over SSH, and as scp writes it.
_REMOTE = re.compile(r"(?:https?://|ssh://(?:[^@/]*@)?|[^@/:]+@)([^/:]+(?::\d+)?)[:/](.+?)(?:\.git)?/?")


def shown(project: Project, comparison: Comparison, records: Sequence[Record], meta: Meta) -> str | None:
    """The section of pictures, after they were pushed; where that fails, where else they are, which the log explains.

    Of a fork's report only what mlci draws itself from the numbers that it compared is pushed, never a picture of the
    fork's. No address comes from a record: each is made of the runner's server and repository, and what was pushed.
    """
    store = _gallery(project)
    place = _address(project.context, store.home) if store else None
    if store is None or place is None:
        return None
    try:
        drawn = exhibited(project, comparison, records, meta)
        if not drawn.contents:
            return None
        commit = store.publish(drawn.contents).commit
    except Exception as error:  # the comment does not hang on its pictures, whatever becomes of a push
        project.invocation.say(plain(f"the comment shows no pictures: {_said(error)}"))
        return f"Charts and plots are {exhibition.elsewhere(meta)}." if meta.files_url else None
    return exhibition.section(drawn, _addresses(place, commit), meta, opened=_open(comparison))


def would_show(project: Project, comparison: Comparison, records: Sequence[Record], meta: Meta) -> str | None:
    """The same without a push: what would be pushed is said, and the commit is only a word."""
    store = _gallery(project)
    if store is None:
        return None
    try:
        drawn = exhibited(project, comparison, records, meta)
    except MlciError as error:
        project.invocation.say(plain(f"the comment would show no pictures: {_said(error)}"))
        return None
    if not drawn.contents:
        return None
    pushed = f"{counted(len(drawn.contents), 'picture')}, {size(sum(map(len, drawn.contents)))}"
    project.invocation.say(f"would push {pushed}, to {project.store.describe()}, unless they are there")
    place = f"{project.context.server_url}/{project.context.repository or 'OWNER/REPOSITORY'}"
    return exhibition.section(drawn, _addresses(place, "COMMIT"), meta, opened=_open(comparison))


def exhibited(project: Project, comparison: Comparison, records: Sequence[Record], meta: Meta) -> Exhibition:
    """Everything there is to show, within bounds.

    Raises:
        StoreError: It cannot be drawn.
    """
    try:
        found = [] if meta.foreign else list(_changed_plots(project, records))
        if not found and not any(track(delta) for delta in comparison.deltas):
            return Exhibition()
        with _elsewhere():
            from mlci.render.pictures import charts  # noqa: PLC0415 - heavy, and an extra
            from mlci.render.pixels import repainted  # noqa: PLC0415 - likewise

            drawn = charts(comparison.deltas, curves(records, meta.before))
            painted = [_painted(picture, repainted) for picture in found[:_MOST_PLOTS]]
        kept = tuple(plot for plot in painted if plot.before or plot.now)
    except ImportError:
        raise StoreError(
            "matplotlib is not installed",
            hint="It comes with the extra `pictures`, for the action: MLCI_EXTRAS: pictures.",
        ) from None
    except Exception as error:  # the comment does not hang on what a library makes of odd numbers
        raise StoreError(f"they cannot be drawn: {type(error).__name__}: {error}") from error
    whole = Exhibition(drawn, kept, len(found) - len(kept))
    fits = sum(map(len, whole.contents)) <= _PUSHED_BYTES
    return whole if fits else Exhibition(drawn, (), len(found))


def with_curves(project: Project, records: Sequence[Record]) -> tuple[Record, ...]:
    """The baselines' records of those that have learning curves; they have been read before, so it costs no request."""
    learned = [record for record in records if any(metric.series for metric in record.metrics)]
    try:
        found = [project.baseline(record.name, record.profile).record for record in learned]
    except StoreError:
        return ()
    return tuple(filter(None, found))


def _said(error: Exception) -> str:
    if isinstance(error, MlciError):
        return f"{error.message}. {error.hint or ''}"
    return f"{type(error).__name__}: {error}"


def _gallery(project: Project) -> Gallery | None:
    """The store, if pictures are wanted and it could show them."""
    wanted = project.config.settings.report.pictures == "auto"
    return project.store if wanted and isinstance(project.store, Gallery) else None


def _address(context: Context, home: str | None) -> str | None:
    """Where this repository is looked at, if it is the one that holds the data branch."""
    address = f"{context.server_url.rstrip('/')}/{context.repository}"
    remote = _REMOTE.fullmatch(home or "")
    if not context.in_actions or remote is None or not _ADDRESS.fullmatch(address):
        return None
    named = (remote[1].lower(), remote[2].lower())
    return address if named == (urlsplit(address).netloc.lower(), (context.repository or "").lower()) else None


def _addresses(place: str, commit: str) -> Callable[[bytes], str]:
    # This form works in private repositories too, for whoever is signed in: the server adds what lets them read.
    return lambda content: f"{place}/blob/{commit}/{path(content)}?raw=true"


def _open(comparison: Comparison) -> bool:
    """A pass is two lines; what is none is looked at."""
    return comparison.verdict != "pass" or comparison.blocks


def _changed_plots(project: Project, records: Sequence[Record]) -> Iterator[plots.Picture]:
    """Of each declared plot that differs from the baseline's the first seed's."""
    seen: set[tuple[str, str]] = set()
    for picture in plots.pictures(project, records, limit_each=_PLOT_BYTES, limit_all=_ALL_BYTES):
        key = (picture.run, picture.path)
        if picture.media in _MEDIA and picture.now != picture.before and key not in seen:
            seen.add(key)
            yield picture


def _painted(picture: plots.Picture, repainted: Callable[[bytes], bytes | None]) -> Plot:
    def side(content: bytes | None, whose: str) -> Drawing | None:
        painted = repainted(content) if content else None
        seed = "" if picture.seed is None else f", seed {picture.seed}"
        alt = f"The plot {picture.path} of {picture.run}{seed}, {whose}"
        return Drawing(painted, alt, _PLOT_WIDTH) if painted else None

    return Plot(picture.run, picture.path, side(picture.before, "of the baseline"), side(picture.now, "of this run"))


@contextmanager
def _elsewhere() -> Iterator[None]:
    """An empty folder to draw in: matplotlib takes settings, and Python modules, from where it starts.

    That is a checkout of code that nobody may have reviewed, and this job holds a token.
    """
    with tempfile.TemporaryDirectory(prefix="mlci-") as empty, contextlib.chdir(empty):
        yield
