"""Runs as their folders are, made in milliseconds; a server of them, and what it answers."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from hgenv.dashboard.server import Server
from hgenv.dashboard.site import Site
from hgenv.env import DataGenEnv
from hgenv.options import EnvOptions
from hgenv.run import Budget, run
from hgenv.runs.folder import RunFolder, described
from hgenv.tasks.toy_shading import ToyShading
from optimizers import RandomSearch

TOY = "hgenv/ToyShading-v0"
STEPS = 4
TASK = ToyShading(validation_size=4, test_size=4)


def play(folder: Path, steps: int = STEPS, ended: str = "budget") -> None:
    """A run of the toy that has a budget of STEPS steps and takes some; ended="": it has come to no end."""
    options = EnvOptions(train_steps=2, batch_size=2)
    env, config = DataGenEnv(TASK, options), described(TOY, TASK, options)
    with RunFolder.new(folder, config | {"budget": {"max_steps": STEPS}}) as kept:
        for row in run(env, RandomSearch(pairs=1), Budget(max_steps=steps), report_every=1):
            kept.write(env, row)
        if ended:
            kept.finish(ended)


@contextmanager
def served(*folders: Path) -> Iterator[Server]:
    """A server of folders, at a port of its own."""
    with Server(Site([str(folder) for folder in folders]), 0) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    content: bytes


def asked(
    server: Server, method: str, path: str, headers: dict[str, str] | None = None, body: bytes | None = None
) -> Answer:
    """What the server answers to exactly these headers, and those that HTTP needs unless they are given."""
    with closing(http.client.HTTPConnection(*server.server_address[:2], timeout=30)) as connection:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        usual = {"Host": server.hosts[0]} | ({} if body is None else {"Content-Length": str(len(body))})
        for name, value in (usual | (headers or {})).items():
            if value:
                connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
