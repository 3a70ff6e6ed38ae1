from __future__ import annotations

import math
import struct
from pathlib import Path, PurePath

import pytest

from fakes.event_files import event, message, number, record, scalar, tensor
from mlci.core.documents import Metric
from mlci.errors import MetricError
from mlci.plugins.readers import tensorboard
from mlci.plugins.readers.tensorboard import TensorBoardReader
from mlci.plugins.readers.tfrecord import masked_crc

FIXTURES = Path(__file__).parents[3] / "fixtures/readers/tensorboard"
SIMPLE, TENSORS = FIXTURES / "events.out.tfevents.1000.x", FIXTURES / "validation/events.out.tfevents.1000.v2"


def read(tmp_path: Path, data: bytes) -> list[Metric]:
    path = tmp_path / "events.out.tfevents.1"
    path.write_bytes(data)
    return TensorBoardReader().read(path, name="events")


def float32(value: float) -> float:
    [rounded] = struct.unpack("<f", struct.pack("<f", value))
    return float(rounded)


def values(tmp_path: Path, data: bytes) -> dict[str, float]:
    return {metric.name: metric.value for metric in read(tmp_path, data)}


def test_read__what_tensorboardx_writes() -> None:
    loss, accuracy = TensorBoardReader().read(SIMPLE, name="events")
    assert (loss.name, loss.value) == ("train/loss", float32(0.2))
    assert loss.series == tuple((step, float32(1 / (step + 1))) for step in range(5))
    assert accuracy == Metric(name="val/accuracy", value=0.75, series=((4, 0.75),))


def test_read__what_tensorboard_itself_writes_as_tensors() -> None:
    loss, accuracy = TensorBoardReader().read(TENSORS, name="events")
    assert (loss.name, loss.value, len(loss.series)) == ("epoch_loss", float32(1 / 3), 3)
    assert accuracy == Metric(name="epoch_accuracy", value=0.9, split="validation", series=((2, 0.9),))


def test_read__wherever_the_writer_was_stopped(tmp_path: Path) -> None:
    whole = SIMPLE.read_bytes()
    lengths = []
    for cut in range(100, len(whole), 61):
        found = read(tmp_path, whole[:cut])
        lengths.append(len(found[0].series) if found else 0)
    assert lengths == sorted(lengths)
    assert lengths[-1] == 5


def test_read__less_than_one_record(tmp_path: Path) -> None:
    with pytest.raises(MetricError, match=r"^events: no whole record of events$"):
        read(tmp_path, SIMPLE.read_bytes()[:20])


def test_read__a_flipped_bit_anywhere_in_a_record(tmp_path: Path) -> None:
    first, second = event(0, scalar("a", 1)), event(1, scalar("a", 2))
    for position in range(len(second)):
        broken = bytearray(second)
        broken[position] ^= 1
        with pytest.raises(MetricError, match=r"^events: record 2: the checksum of its (length|data) does not hold$"):
            read(tmp_path, first + bytes(broken))


def test_read__a_record_said_to_be_endless(tmp_path: Path) -> None:
    with pytest.raises(MetricError, match=r"^events: record 1: said to be 1,152,921,504,606,846,976 bytes long$"):
        read(tmp_path, record(b"", length=2**60))


def test_read__a_record_too_large_for_scalars_is_passed_over(tmp_path: Path) -> None:
    graph = record(b"\xff" * (2 * 1024 * 1024))
    assert values(tmp_path, event(0, scalar("a", 1)) + graph + event(1, scalar("b", 2))) == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\x10" + b"\xff" * 100, "a number that does not end"),
        (b"\xff" * 1000, "a number that does not end"),
        (b"\x2a\xff\xff\xff\xff\x0f", "a field that is longer than its message"),
        (b"\x2b", "a field of wire type 3"),
        (message(5, message(1, b"\x11\x00")), "a field that is longer than its message"),
        (message(5, message(1, message(2, b"\x00"))), "unpack requires a buffer of 4 bytes"),
    ],
)
def test_read__a_record_that_is_no_event(tmp_path: Path, data: bytes, said: str) -> None:
    with pytest.raises(MetricError, match=f"^events: record 2: no event: {said}$"):
        read(tmp_path, event(0, scalar("a", 1)) + record(data))


def test_read__nan_and_infinity(tmp_path: Path) -> None:
    found = values(tmp_path, event(0, scalar("a", math.nan), scalar("b", math.inf), scalar("c", -math.inf)))
    assert math.isnan(found["a"])
    assert (found["b"], found["c"]) == (math.inf, -math.inf)


@pytest.mark.parametrize(
    "content",
    [
        number(1, 1) + message(4, struct.pack("<f", 0.5)),
        number(1, 1) + b"\x2d" + struct.pack("<f", 0.5),
        number(1, 1) + message(5, struct.pack("<f", 0.5)),
        number(1, 2) + message(4, struct.pack("<d", 0.5)),
        number(1, 2) + message(6, struct.pack("<d", 0.5)),
        number(1, 19) + message(4, struct.pack("<e", 0.5)),
        number(1, 19) + number(13, 0x3800),
        number(1, 19) + message(13, b"\x80\x70"),
        number(1, 1) + message(2, message(2, number(1, 1))) + message(4, struct.pack("<f", 0.5)),
    ],
)
def test_read__a_scalar_in_each_packing(tmp_path: Path, content: bytes) -> None:
    assert values(tmp_path, event(0, tensor("a", content))) == {"a": 0.5}


@pytest.mark.parametrize(
    "content",
    [
        number(1, 7) + message(8, b"text"),
        number(1, 1) + message(2, message(2, number(1, 2))) + message(4, struct.pack("<ff", 0.5, 0.5)),
        number(1, 1) + message(4, b"\0" * 8),
        number(1, 1),
        b"",
    ],
)
def test_read__tensors_that_are_no_scalars_are_passed_over(tmp_path: Path, content: bytes) -> None:
    assert values(tmp_path, event(0, tensor("a", content), scalar("b", 1))) == {"b": 1}


def test_read__a_tag_of_another_plugin_is_no_scalar_then_and_later(tmp_path: Path) -> None:
    content = number(1, 1) + message(4, struct.pack("<f", 0.5))
    parameters = event(0, tensor("p", content, plugin="hparams")) + event(1, tensor("p", content))
    assert values(tmp_path, parameters + event(0, tensor("s", content, plugin="scalars"))) == {"s": 0.5}


def test_read__a_training_that_went_back_to_a_checkpoint(tmp_path: Path) -> None:
    steps = [(0, 1.0), (1, 2.0), (2, 3.0), (1, 4.0)]
    [metric] = read(tmp_path, b"".join(event(step, scalar("a", value)) for step, value in steps))
    assert (metric.value, metric.series) == (4.0, ((0, 1.0), (1, 4.0)))


def test_read__a_step_below_zero(tmp_path: Path) -> None:
    [metric] = read(tmp_path, event(-1, scalar("a", 1)))
    assert metric.series == ((-1, 1.0),)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (event(0, *(scalar(f"m{index}", 1) for index in range(2_001))), "more than 2,000 tags"),
        (event(0, scalar("x" * 10_000, 1)), "'x{40}'… has 10,000 characters"),
    ],
    ids=["many", "long"],
)
def test_read__tags_too_many_or_too_long(tmp_path: Path, data: bytes, said: str) -> None:
    with pytest.raises(MetricError, match=f"^events: {said}"):
        read(tmp_path, data)


@pytest.mark.parametrize(
    ("path", "head", "recognised"),
    [
        (SIMPLE, SIMPLE.read_bytes(), True),
        (TENSORS, TENSORS.read_bytes(), True),
        (PurePath("runs/*/events.out.tfevents.*"), b"", True),
        (SIMPLE, b"{}", False),
        (PurePath("metrics.json"), SIMPLE.read_bytes(), False),
    ],
)
def test_recognises(path: PurePath, head: bytes, recognised: bool) -> None:
    assert TensorBoardReader.recognises(path, head) is recognised


def test_read__more_values_than_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorboard, "_MAX_VALUES", 3)
    three = event(0, b"", b"", scalar("a", 1))
    assert values(tmp_path, three) == {"a": 1}
    with pytest.raises(MetricError, match=r"^events: more than 3 values$"):
        read(tmp_path, three + event(1, b""))


def test_masked_crc__the_check_value_of_the_polynomial() -> None:
    # RFC 3720, B.4, has 32 bytes of zeros; the catalogues have the digits.
    for data, crc in ((b"123456789", 0xE3069283), (b"\0" * 32, 0x8A9136AA), (b"", 0)):
        assert masked_crc(data) == ((crc >> 15 | crc << 17) + 0xA282EAD8) % 2**32
