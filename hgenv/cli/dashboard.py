"""hgenv dashboard: a local page of runs and benches as they go, and a playground of beta."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from hgenv.dashboard.server import Server
from hgenv.dashboard.site import Site
from hgenv.fields import AtLeast, AtMost, check
from hgenv.registry import load_plugins

USUAL = ("runs", "bench")


@dataclasses.dataclass(frozen=True)
class DashboardOptions:
    """Runs and benches in a browser on this machine, and a playground of beta. SIGINT (Ctrl-C) ends it."""

    folders: tyro.conf.Positional[tuple[str, ...]] = ()
    """Folders of runs and benches, of which files are shown; runs and bench, as far as they are here, if none is
    named."""
    port: Annotated[int, AtLeast(0), AtMost(65535)] = 8321
    """Port of 127.0.0.1; 0 for any that is free."""

    def __post_init__(self) -> None:
        check(self)


def command(words: list[str]) -> int:
    s = tyro.cli(DashboardOptions, args=words, prog="hgenv dashboard")
    load_plugins("hgenv.tasks")
    folders = s.folders or [name for name in USUAL if Path(name).is_dir()]
    with Server(Site(folders), s.port) as server:
        print(f"http://{server.hosts[0]}/ shows {', '.join(folders) or 'the playground'}; Ctrl-C ends it", flush=True)
        server.serve_forever()
    return 0
