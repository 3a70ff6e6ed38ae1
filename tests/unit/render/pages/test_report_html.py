from __future__ import annotations

import html
import json
import math
import re
from typing import Any

import msgspec
import pytest

from fakes.comparisons import delta, judged, measured, passing
from fakes.pages import code, curve, hostile, ipynb, made, png, rendered, shows, whole
from mlci.core.documents import Environment, Metric
from mlci.render.pages.picture import Picture
from mlci.render.pages.report import NOTEBOOKS, PICTURES, Executed, Shown


def data(page: str) -> dict[str, Any]:
    [found] = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page)
    parsed: dict[str, Any] = json.loads(found)
    return parsed


def words(page: str) -> str:
    main = page.split('<main id="main" tabindex="-1">')[1].split("</main>", maxsplit=1)[0]
    return html.unescape(" ".join(re.sub(r"<[^>]*>", "", re.sub(r"</(?:td|th|li|h\d|p)>", " ", main)).split()))


def test_report__says_what_the_others_say() -> None:
    page = whole(delta(), passing("f1", 0.8, 0.81))
    assert "train accuracy 0.912 → 0.881 (−3.4%, 3 paired seeds): 0.031 worse, at most 0.01 allowed" in words(page)
    for title in ("Gated metrics (2)", "Runs (1)", "Baselines", "Parameters (1)", "Inputs (1)", "Documents"):
        assert f">{title}</h2>" in page


def test_report__intervals_in_units_of_what_is_allowed_the_worst_first() -> None:
    loss = passing("loss", 0.5, 0.49, direction="lower", tolerance="at most 2% higher", interval=(-0.02, 0.005))
    drawn = data(whole(loss, delta()))["intervals"]
    assert [item["label"] for item in drawn] == ["train · accuracy", "train · loss"]
    assert [(item["point"], item["worst"]) for item in drawn] == [(pytest.approx(-3.1), -1), (pytest.approx(1), -1)]
    assert (drawn[1]["low"], drawn[1]["high"]) == (pytest.approx(-0.5), pytest.approx(2))


def test_report__says_which_changes_are_not_drawn() -> None:
    bounded = [passing(f"m{place}") for place in range(70)]
    page = whole(*bounded, passing("auc", tolerance="at least 0.5"), passing("nan", 0.9, math.nan))
    assert len(data(page)["intervals"]) == 60
    assert "The worst 60 of 70 are drawn. 2 more have no bound on the change, or no change: see the table." in words(
        page
    )


def test_report__every_slice_is_in_the_table() -> None:
    slices = [passing(slice=f"country=X{place}") for place in range(60)]
    assert "accuracy [country=X59]" in words(whole(passing(), *slices))


def test_report__learning_curves_beside_those_of_the_baseline() -> None:
    page = whole(passing(), passing("f1"))
    assert [len(item["now"]) == len(item["before"]) == 40 for item in data(page)["curves"]] == [True, True]
    assert "Last of the baseline train accuracy 40 0 0 0.6896 0.6896 0.7899" in words(page)


def test_report__curves_are_thinned_to_points_that_can_be_seen() -> None:
    metrics = tuple(Metric(name=f"m{place}", value=1, series=curve(0.01, 5000)) for place in range(30))
    now = msgspec.structs.replace(measured(), metrics=metrics)
    page = made(judged(), now, shown=Shown())
    curves = data(page)["curves"]
    assert [len(item["now"]) for item in curves] == [100] * 24
    assert curves[0]["now"][-1][0] == 4999
    assert "6 more are only in the table." in words(page)


def test_report__plots_that_do_not_fit_are_named() -> None:
    missing = Picture("train", "figures/big.png", 3, "", None, None, "its 4 MB do not fit")
    new = Picture("train", "figures/new.png", None, "image/png", png(1), None)
    page = whole(passing(), pictures=(missing, new))
    assert "train: figures/big.png, seed 3: its 4 MB do not fit" in words(page)
    assert page.count("<img ") == 1


def test_report__the_same_plot_on_both_sides_is_there_once() -> None:
    content = png(1)
    page = whole(passing(), pictures=(Picture("train", "a.png", None, "image/png", content, content),))
    assert page.count("<img ") == 1
    assert "Now, the same as in the baseline" in page


def test_report__parameters_and_inputs_beside_the_baseline() -> None:
    now = msgspec.structs.replace(
        measured(), parameters={"trees": 200, "new": [1]}, inputs={"a.csv": "a" * 64, "b": "b" * 64}
    )
    before = msgspec.structs.replace(measured(), parameters={"trees": 100}, inputs={"a.csv": "c" * 64, "b": "b" * 64})
    said = words(made(judged(), now, before, shown=Shown(before={"train": before})))
    assert "train trees 200 100 train new [1] –" in said
    assert "train a.csv aaaaaaaaaaaa cccccccccccc train b bbbbbbbbbbbb the same" in said


def test_report__hostile_words_make_no_element() -> None:
    page = hostile()
    assert page.count("<script") == 4
    assert re.findall(r"<(?:svg|iframe|form|base|object|input)\b", page.split("<main")[1].split("</main>")[0]) == []
    assert "\u202e" not in page


def test_report__fifty_metrics_and_ten_plots_stay_under_a_megabyte_and_a_half() -> None:
    metrics = tuple(Metric(name=f"metric {place}", value=0.9, series=curve(0.02, 200)) for place in range(50))
    environment = Environment(packages={f"package-{place}": "1.2.3" for place in range(250)})
    now = msgspec.structs.replace(measured(), metrics=metrics, environment=environment)
    deltas = [passing(f"metric {place}") for place in range(50)] + [passing(slice=f"s={place}") for place in range(100)]
    side = int((PICTURES / 20 / 3) ** 0.5) - 2
    noise = {place: png(place, side=side, noise=True) for place in range(20)}
    assert 0.95 * PICTURES < sum(map(len, noise.values())) <= PICTURES
    pictures = tuple(
        Picture("train", f"{place}.png", None, "image/png", noise[place], noise[place + 10]) for place in range(10)
    )
    cells = [code("x", shows(text_html="<p>" + "word " * 3000 + "</p>")) for _ in range(40)]
    executed = Executed("train", "executed.ipynb", rendered(ipynb(*cells), budget=NOTEBOOKS))
    given = Shown(before={"train": now}, pictures=pictures, notebooks=(executed,))
    page = made(judged(*deltas), now, now, shown=given)
    assert executed.notebook is not None
    assert executed.notebook.size > 0.9 * NOTEBOOKS
    assert len(page.encode()) < 1_500_000
