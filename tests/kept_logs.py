"""What is in the logs of a run, by the tools' own readers: values by name and step, settings, figures, how it ended."""

import json
import struct
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

TOOLS = ("tensorboard", "wandb", "trackio", "mlflow")


class Kept(NamedTuple):
    """values[name][step] are all that were logged at a step, in order."""

    values: dict[str, dict[int, list[float]]]
    settings: dict[str, str]
    pictures: set[str]
    best: dict[str, float]
    ended: str | None


def read(tool: str, run: Path) -> Kept:
    return {"tensorboard": _tensorboard, "wandb": _wandb, "trackio": _trackio, "mlflow": _mlflow}[tool](run)


def _split(values: dict[str, dict[int, list[float]]]) -> tuple[dict, dict[str, float]]:
    """The values of the rows, and the last ones of best/NAME by NAME."""
    best = {name: list(steps.values())[-1][-1] for name, steps in values.items() if name.startswith("best/")}
    rows = {name: dict(steps) for name, steps in values.items() if not name.startswith("best/")}
    return rows, {name.removeprefix("best/"): value for name, value in best.items()}


def _tensorboard(run: Path) -> Kept:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import plugin_data_pb2

    events = EventAccumulator(str(run / "logs" / "tensorboard"), size_guidance={"scalars": 0, "images": 0})
    events.Reload()
    values: Any = defaultdict(lambda: defaultdict(list))
    for name in events.Tags()["scalars"]:
        for event in events.Scalars(name):
            values[name][event.step].append(event.value)
    told = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    hparams = plugin_data_pb2.HParamsPluginData.FromString(told).session_start_info.hparams
    settings = {name: str(getattr(value, str(value.WhichOneof("kind")))) for name, value in hparams.items()}
    rows, best = _split(values)
    return Kept(rows, settings, set(events.Tags()["images"]), best, None)


def _trackio(run: Path) -> Kept:
    import trackio
    from trackio.sqlite_storage import SQLiteStorage

    name = json.loads((run / "logs" / "trackio.json").read_text())["id"]
    (found,) = [one for one in trackio.Api().runs("hgenv") if one.name.endswith(name)]
    values: Any = defaultdict(lambda: defaultdict(list))
    pictures = set()
    for row in SQLiteStorage.get_logs("hgenv", found.name, run_id=found.id):
        for key, value in row.items():
            if isinstance(value, dict) and value.get("_type") == "trackio.image":
                pictures.add(key)
            elif isinstance(value, int | float) and key != "step":
                values[key][row["step"]].append(value)
    rows, best = _split(values)
    return Kept(rows, {name: str(value) for name, value in found.config.items()}, pictures, best, None)


def _mlflow(run: Path) -> Kept:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{run.parent / 'mlflow.db'}")
    known = json.loads((run / "logs" / "mlflow.json").read_text())["id"]
    found = client.get_run(known)
    values: Any = defaultdict(lambda: defaultdict(list))
    for name in found.data.metrics:
        for one in client.get_metric_history(known, name):
            values[name][one.step].append(one.value)
    pictures = {Path(one.path).stem for one in client.list_artifacts(known, "figures")}
    rows, best = _split(values)
    return Kept(rows, found.data.params, pictures, best, found.info.status)


def _wandb(run: Path) -> Kept:
    values: Any = defaultdict(lambda: defaultdict(list))
    settings, summary, pictures, ended = dict[str, str](), dict[str, float](), set(), None
    for path in sorted((run / "logs" / "wandb").glob("offline-run-*/*.wandb")):
        for record in _whole(path):
            settings |= {item.key: str(json.loads(item.value_json)) for item in record.run.config.update}
            summary |= {item.key or item.nested_key[0]: json.loads(item.value_json) for item in record.summary.update}
            for item in record.history.item:
                name, value = item.nested_key[0], json.loads(item.value_json)
                if value == "image-file":
                    pictures.add(name)
                elif len(item.nested_key) == 1 and not name.startswith("_"):
                    values[name][record.history.step.num].append(value)
            ended = str(record.exit.exit_code) if record.HasField("exit") else ended
    settings.pop("_wandb", None)
    best = {name.removeprefix("best/"): value for name, value in summary.items() if name.startswith("best/")}
    return Kept({name: dict(steps) for name, steps in values.items()}, settings, pictures, best, ended)


def _whole(path: Path) -> list[Any]:
    """The records of a file when it is whole, which its writer makes it a moment after it has said so."""
    from google.protobuf.message import DecodeError
    from wandb.proto import wandb_internal_pb2

    for _ in range(100):
        with suppress(DecodeError):  # of a record that is written at this moment
            records = [wandb_internal_pb2.Record.FromString(content) for content in _records(path.read_bytes())]
            if records and records[-1].HasField("exit"):
                return records
        time.sleep(0.1)
    raise AssertionError(f"{path} has no end")


def _records(content: bytes) -> Iterator[bytes]:
    """Of LevelDB's log format, in blocks of 32 KiB, the first of which has a header of 7 bytes."""
    at, parts = 7, b""
    while at + 7 <= len(content):
        if (left := 32768 - at % 32768) < 7:
            at += left
            continue
        length, kind = struct.unpack_from("<HB", content, at + 4)
        parts += content[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield parts
            parts = b""
