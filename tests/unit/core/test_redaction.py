from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from papermill.translators import PythonTranslator

from mlci.core.redaction import Redactor, find_secrets

KEY = "-----BEGIN KEY-----\nMIIEvQIBADANBg\nkqhkiG9w\nab==\n-----END KEY-----\n"
AWKWARD = "pä\"ss\\wo\trd'x"


def streamed(redactor: Redactor, chunks: list[str]) -> str:
    stream = redactor.stream()
    return "".join(map(stream.feed, chunks)) + stream.flush()


def test_text__every_occurrence_the_longest_first() -> None:
    redactor = Redactor(("hunter2", "hunter2-and-more"))
    assert redactor.text("a hunter2, hunter2-and-more.hunter2") == "a ***, ***.***"


def test_text__each_longer_line_of_a_secret_of_several_lines() -> None:
    redactor = Redactor((KEY,))
    assert redactor.text(KEY) == "***"
    assert redactor.text("log: MIIEvQIBADANBg\nlog: kqhkiG9w\nlog: ab==") == "log: ***\nlog: ***\nlog: ab=="


def test_text__a_value_with_its_line_end_is_hidden_without_it() -> None:
    assert Redactor(("from-a-file\n",)).text("got from-a-file!") == "got ***!"


@pytest.mark.parametrize("spelt", [repr, json.dumps, PythonTranslator.translate_str, str])
def test_text__spelt_as_in_a_literal(spelt: Any) -> None:
    assert "wo" not in Redactor((AWKWARD,)).text(f"x = {spelt(AWKWARD)} # two".replace("two", ""))


def test_text__nothing_is_secret() -> None:
    assert Redactor(()).text("text") == "text"
    assert Redactor(("",)).text("text") == "text"


def test_redactor__travels_and_compares_and_shows_nothing() -> None:
    redactor = Redactor(("hunter2",))
    assert redactor.text("hunter2") == "***"
    again = pickle.loads(pickle.dumps(redactor))  # noqa: S301 - our own bytes
    assert (again, hash(again)) == (redactor, hash(redactor))
    assert again.text("hunter2") == "***"
    assert "hunter2" not in repr(redactor)


@given(st.sampled_from([AWKWARD, KEY, "plain-secret", "\\n\\", '"', "nabc12"]), st.text(max_size=8), st.booleans())
def test_json_text__stays_json_and_holds_no_secret(secret: str, around: str, ascii_only: bool) -> None:
    cell = f"password = {PythonTranslator.translate_str(secret)}\nother = {secret!r}"
    document = {"a": around + secret + around, "b": [secret], "source": cell, "n": 12, "t": True}
    text = json.dumps(document, ensure_ascii=ascii_only, indent=1)
    read = json.loads(Redactor((secret,)).json_text(text))
    assert read["b"] == ["***"]
    assert read["n"] == 12
    assert secret not in read["a"].replace(around, "")
    assert "***" in read["source"]


def test_json_text__an_escape_is_not_cut() -> None:
    text = json.dumps(["\nabc12", "nabc12", "\u00e9abc12"])
    assert json.loads(Redactor(("nabc12", "9abc12")).json_text(text)) == ["\nabc12", "***", "\u00e9abc12"]


def test_json_text__a_number_that_is_a_secret_becomes_a_string() -> None:
    redactor = Redactor(("4711",))
    assert json.loads(redactor.json_text('{"pin": 4711, "n": 47110, "s": "pin 4711, ok"}')) == {
        "pin": "***",
        "n": 47110,
        "s": "pin ***, ok",
    }


@given(st.recursive(st.text(max_size=5) | st.integers() | st.none(), lambda inner: st.lists(inner, max_size=3)))
def test_json_text__without_a_secret_is_the_same_text(value: Any) -> None:
    text = json.dumps(value)
    assert Redactor(("not in there",)).json_text(text) == text


def test_value__walks_builtins_and_keeps_keys() -> None:
    redactor = Redactor(("hunter2", "4711"))
    value = {"hunter2": ["hunter2", {"x": "a hunter2 b"}], "pin": 4711, "float": 0.5, "flag": True, "none": None}
    assert redactor.value(value) == {
        "hunter2": ["***", {"x": "a *** b"}],
        "pin": "***",
        "float": 0.5,
        "flag": True,
        "none": None,
    }


SECRETS = st.lists(st.text("ab\n", min_size=1, max_size=9), max_size=4).map(tuple)


@given(SECRETS, st.lists(st.text("abc\n", max_size=6), max_size=12))
@example(("ab", "bcd"), ["ab", "cd"])
@example(("abc", "abcdef"), ["abc", "de", "x"])
@example(("ab", "aab"), ["a", "a", "a"])
def test_stream__any_chunks_give_what_the_whole_gives(secrets: tuple[str, ...], chunks: list[str]) -> None:
    redactor = Redactor(secrets)
    assert streamed(redactor, chunks) == redactor.text("".join(chunks))


@given(st.lists(st.integers(0, 2000), max_size=6).map(sorted))
def test_stream__a_key_of_many_lines(cuts: list[int]) -> None:
    redactor = Redactor((KEY, "hunter2"))
    text = f"begin {KEY}{KEY[:30]} hunter hunter2\n" * 3
    chunks = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert streamed(redactor, chunks) == redactor.text(text)


def test_stream__holds_back_only_what_could_be_a_secret() -> None:
    stream = Redactor(("hunter2",)).stream()
    assert stream.feed("the hunt") == "the "
    assert stream.feed("er ") == "hunter "
    assert stream.feed("hunter2") == "***"
    assert stream.feed("done\n") == "done\n"
    assert stream.flush() == ""


def test_stream__without_secrets_is_the_identity() -> None:
    text = "as it came"
    assert Redactor(()).stream().feed(text) is text


@pytest.mark.parametrize(
    "name",
    [
        "HF_TOKEN",
        "hfToken",
        "token",
        "db.password",
        "DB_PASSWD",
        "PGPASSWORD",
        "MYSQL_PWD",
        "pwd",
        "DB_PASS",
        "GH_PAT",
        "ssh-passphrase",
        "aws_secret_access_key",
        "API_KEY",
        "apiKey",
        "openAIApiKey",
        "APIKEY",
        "AZURE_STORAGE_CONNECTION_STRING",
        "SENTRY_DSN",
        "SLACK_WEBHOOK_URL",
        "private key",
        "signing_key",
        "AUTH",
        "credentials",
        "TOKEN_2",
    ],
)
def test_find_secrets__names_that_look_secret(name: str) -> None:
    assert find_secrets({name: "s3cr3t-value"}) == ("s3cr3t-value",)


@pytest.mark.parametrize(
    "name",
    [
        "tokenizer",
        "tokenizer_name",
        "max_tokens",
        "token_count",
        "author",
        "monkey",
        "key",
        "TOKEN_FILE",
        "SSH_AUTH_SOCK",
        "PWD",
        "OLDPWD",
        "CREDENTIALS_DIRECTORY",
        "TOKENIZERS_PARALLELISM",
    ],
)
def test_find_secrets__names_that_do_not(name: str) -> None:
    assert find_secrets({name: "s3cr3t-value"}) == ()


@pytest.mark.parametrize(
    "value",
    [
        "short",
        "123456789",
        123456789,
        1.5e9,
        True,
        "FALSE",
        "",
        None,
        "/home/me/key.json",
        "~/.netrc.d/x.txt",
        "<|endoftext|>",
    ],
)
def test_find_secrets__values_that_are_none_by_their_name_alone(value: object) -> None:
    assert find_secrets({"token": value}) == ()


def test_find_secrets__what_is_named_is_taken_from_three_characters_on() -> None:
    source = {"pin": 4711, "code": "abc", "tiny": "ab", "flag": True, "other": "left alone"}
    assert find_secrets(source, named=("pin", "code", "tiny", "flag", "absent")) == ("4711", "abc")


def test_find_secrets__a_key_in_base64_is_no_path() -> None:
    assert find_secrets({"AWS_SECRET_ACCESS_KEY": "/x8fj2Kdj/9dkf"}) == ("/x8fj2Kdj/9dkf",)


def test_find_secrets__the_password_within_a_url() -> None:
    assert find_secrets(
        {"DATABASE_URL": "postgres://me:p%40ssword@db:5432/x?y=a@b", "HOME_PAGE": "https://x.org:80/a@b"}
    ) == (
        "p%40ssword",
        "p@ssword",
    )


def test_find_secrets__nested_parameters() -> None:
    source = {
        "db": {"user": "somebody", "password": "hunter22"},
        "credentials": {"key": "abcdef1", "name": "somebody"},
        "tokens": {"max": "hundreds"},
        "api_keys": ["key-one", "key-two"],
    }
    assert find_secrets(source) == ("hunter22", "abcdef1", "key-one", "key-two")


def test_find_secrets__each_once() -> None:
    assert find_secrets({"A_TOKEN": "the-same"}, {"B_TOKEN": "the-same"}) == ("the-same",)
