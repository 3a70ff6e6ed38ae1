"""The pictures that runs declared, beside those of their baselines, as far as workspace and store keep them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from mlci.config import size
from mlci.core.documents import Artifact, Record, digest
from mlci.core.record import plots
from mlci.errors import StoreError
from mlci.project import Project
from mlci.render.pages.picture import Picture
from mlci.render.svg import bounded
from mlci.render.text import size as in_words

_SEED = re.compile(r"outputs/[^/]+/seed-(-?\d{1,20})/")
_MAGIC = (
    ("image/png", re.compile(rb"\x89PNG\r\n\x1a\n")),
    ("image/jpeg", re.compile(rb"\xff\xd8\xff")),
    ("image/gif", re.compile(rb"GIF8[79]a")),
    ("image/webp", re.compile(rb"RIFF....WEBP", re.DOTALL)),
    (
        "image/svg+xml",
        re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml [^>]*>\s*)?(?:<!(?:--|DOCTYPE )[^>\[]*>\s*)*<svg[\s>]"),
    ),
)
__all__ = ["Picture", "kept_plots", "pictures"]

_HEAD = 4096  # bytes within which it shows what a file is
_Key = tuple[int | None, str]  # seed, path


def pictures(project: Project, records: Sequence[Record], *, limit_each: int, limit_all: int) -> Iterator[Picture]:
    """The plots of runs beside their baselines', in the order of the records; what cannot be shown is named.

    Args:
        project: Whose workspace and store hold them.
        records: Whose plots, which may be anybody's claims.
        limit_each: The largest one in bytes.
        limit_all: Bytes of all that are returned; the same content on both sides counts once.
    """
    left = limit_all
    for record in records:
        now = _by_key(record)
        before = _by_key(_earlier(project, record))
        for key in dict.fromkeys((*now, *before)):
            picture = _picture(project, record.name, key, now.get(key), before.get(key), min(limit_each, left))
            left -= sum(map(len, {side for side in (picture.now, picture.before) if side is not None}))
            yield picture


def kept_plots(project: Project, records: Sequence[Record]) -> dict[str, bytes]:
    """By digest, the plots that the store keeps beside `records`; of what it does not keep, the user is told."""
    limit = size(project.config.settings.baseline.keep_plots)
    kept: dict[str, bytes] = {}
    for record in records if limit else ():
        for plot in plots(record):
            content, reason = _own(project, plot, limit)
            if content is None:
                project.invocation.say(f"{record.name}: of a plot only the digest is kept: {plot.path}: {reason}")
            else:
                kept[plot.sha256] = content
    return kept


def _earlier(project: Project, record: Record) -> Record | None:
    """The baseline's record; without a store to ask there is less to show, and nothing else is wrong."""
    try:
        return None if record.status == "skipped" else project.baseline(record.name, record.profile).record
    except StoreError:
        return None


def _by_key(record: Record | None) -> dict[_Key, Artifact]:
    return {(_seed(plot), plot.path): plot for plot in plots(record)} if record else {}


def _seed(plot: Artifact) -> int | None:
    found = _SEED.match(plot.stored or "")
    return int(found[1]) if found else None


def _picture(
    project: Project, run: str, key: _Key, plot: Artifact | None, earlier: Artifact | None, limit: int
) -> Picture:
    seed, path = key
    now, reason = _own(project, plot, limit) if plot else (None, None)
    same = plot and earlier and plot.sha256 == earlier.sha256
    before, objection = (None, None) if same or not earlier else _of_baseline(project, earlier, limit - len(now or b""))
    media = _media(now or before or b"")
    if before is not None and _media(before) != media:
        before, objection = None, "it is of another type"
    reason = reason or (f"the baseline's: {objection}" if objection else None)
    return Picture(run, path, seed, media, now, now if same else before, reason)


def _own(project: Project, plot: Artifact, limit: int) -> tuple[bytes | None, str | None]:
    if plot.size > limit:
        return None, _too_large(plot, limit)
    return _checked(project.workspace.content(plot), "not in the workspace, or not as it was recorded")


def _of_baseline(project: Project, plot: Artifact, limit: int) -> tuple[bytes | None, str | None]:
    if plot.size > limit:
        return None, _too_large(plot, limit)
    content = project.workspace.content(plot)
    if content is None:
        try:
            content = project.store.blob(plot.sha256, limit=limit)
        except StoreError as error:
            return None, error.message
    if content is not None and digest(content) != plot.sha256:
        content = None
    return _checked(content, "the store does not keep it; it keeps plots up to [baseline] keep-plots")


def _checked(content: bytes | None, otherwise: str) -> tuple[bytes | None, str | None]:
    if content is None:
        return None, otherwise
    return (content, None) if _media(content) else (None, "no PNG, JPEG, GIF, WebP or SVG")


def _too_large(plot: Artifact, limit: int) -> str:
    return f"its {in_words(plot.size)} do not fit into the {in_words(max(limit, 0))} that are left"


def _media(content: bytes) -> str:
    """What the content shows itself to be; an SVG that may unfold without end, by entities or references, is none."""
    found = next((media for media, magic in _MAGIC if magic.match(content[:_HEAD])), "")
    unfolds = found == "image/svg+xml" and (b"<!ENTITY" in content or not bounded(content))
    return "" if unfolds else found
