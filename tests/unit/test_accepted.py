from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from fakes.runs import configured
from mlci.accepted import FILE, added, load, save
from mlci.config import Config
from mlci.core.acceptance import Acceptance
from mlci.errors import ConfigError

ENTRY = """
[[accepted]]
run = "churn"
profile = "full"
metric = "accuracy"
baseline = 0.9
value = 0.8
reason = "fewer trees"
date = "2026-01-31"
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return configured(tmp_path, '[runs.churn]\ncommand = ["true"]\n')[0]


def written(config: Config, text: str) -> tuple[Acceptance, ...]:
    (config.root / FILE).write_text(text)
    return load(config)


def test_load__nothing_where_there_is_no_file(config: Config) -> None:
    assert load(config) == ()


def test_load__an_entry(config: Config) -> None:
    assert written(config, ENTRY) == (
        Acceptance(
            run="churn",
            profile="full",
            metric="accuracy",
            baseline=0.9,
            value=0.8,
            reason="fewer trees",
            date="2026-01-31",
        ),
    )


def test_save__load_reads_it_back_whatever_stands_in_it(config: Config) -> None:
    [entry] = written(config, ENTRY)
    odd = msgspec.structs.replace(
        entry,
        metric='a"b\\c\x7f\x01é😀',
        split="test",
        slice="country=IT",
        baseline=1e-20,
        value=1e22,
        reason="line\nline",
        commit="c" * 40,
    )
    save(config, [odd, entry])
    assert set(load(config)) == {entry, odd}


def test_save__the_order_of_entries_says_nothing_of_who_came_first(config: Config) -> None:
    [entry] = written(config, ENTRY)
    other = msgspec.structs.replace(entry, metric="recall")
    texts = []
    for order in ([entry, other], [other, entry]):
        save(config, order)
        texts.append((config.root / FILE).read_text())
    assert texts[0] == texts[1]
    assert texts[0].startswith("# Changes for the worse that were accepted on purpose.")
    assert texts[0].index('"accuracy"') < texts[0].index('"recall"')


def test_save__without_entries_there_is_no_file(config: Config) -> None:
    written(config, ENTRY)
    save(config, [])
    assert not (config.root / FILE).exists()
    save(config, [])


def test_added__takes_the_place_of_an_earlier_one_of_the_same_metric(config: Config) -> None:
    [entry] = written(config, ENTRY)
    part, again = (msgspec.structs.replace(entry, **given) for given in ({"slice": "a"}, {"value": 0.7}))
    assert added([entry, part], again) == [part, again]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (ENTRY.replace('run = "churn"\n', ""), "missing required field `run` - at `$.accepted[0]`"),
        (ENTRY.replace("0.8", '"0.8"'), "Expected `float`, got `str` - at `$.accepted[0].value`"),
        (ENTRY.replace("0.8", "1" + "0" * 400), f"{FILE}"),
        (f'{ENTRY}verdict = "pass"', "unknown field `verdict` - at `$.accepted[0]`"),
        ('[accepted]\nrun = "churn"', "Expected `array`, got `object` - at `$.accepted`"),
        (ENTRY.replace("0.8", "nan"), "accepted[0]: expected finite numbers"),
        (ENTRY.replace("0.9", "inf"), "accepted[0]: expected finite numbers"),
        (ENTRY.replace("fewer trees", " "), "accepted[0].reason: expected why it was accepted"),
        (ENTRY * 2, "accepted[1]: accuracy of churn stands twice"),
        ("accepted = " + "[" * 5000, "not TOML"),
        ("[[accepted", "not TOML"),
        ("#" * (1024 * 1024 + 1), "larger than 1,048,576 bytes"),
    ],
    ids=range(12),
)
def test_load__a_mistake_is_one_line_that_names_file_and_key(config: Config, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        written(config, text)
    assert caught.value.message.startswith(f"{FILE}: ")
    assert said in caught.value.message
    assert "\n" not in caught.value.message
