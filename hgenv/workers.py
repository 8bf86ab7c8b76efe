"""Workers: where independent pieces of work run: here, in processes of this machine, or on a Ray cluster.

A piece is f(*shared, item): a function that can be imported, what is the same for many pieces, and what is its own. As
every draw is keyed, where it runs changes no bit of what it gives. Nothing else in hgenv knows of Ray.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import pickle
import re
import signal
import socket
import sys
import threading
import time
import traceback
import uuid
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, NamedTuple

import numpy as np

from hgenv import interpreter, registry

ATTEMPTS = 4
"""How often a piece is begun whose workers die."""
_AHEAD = 2  # pieces a processor that wait in a cluster's queue, so that none of them waits for us


class WorkerError(ConnectionError):
    """A piece could not be done, as its workers died or cannot be reached."""


class Workers(ABC):
    """count: pieces at a time. seconds (2,): the CPU and GPU seconds of pieces done in other processes so far."""

    def __init__(self, count: int) -> None:
        self.count, self.seconds = count, np.zeros(2)

    @abstractmethod
    def each(self, f: Callable[..., Any], shared: Sequence[Any], items: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """(i, f(*shared, items[i])) of every item, as they come.

        A part of `shared` is sent again only if it is not the same object as in the call before: it must not change.
        Raises what f raises, ValueError for what cannot be sent, WorkerError.
        """

    def map(self, f: Callable[..., Any], shared: Sequence[Any], items: Sequence[Any]) -> list[Any]:
        """f(*shared, item) of every item, in their order."""
        found = dict(self.each(f, shared, items))
        return [found[i] for i in range(len(items))]

    def close(self) -> None:  # noqa: B027  (most have nothing to give back)
        """Give back what they hold; they start again when they are used again."""


class Here(Workers):
    """This process, one piece after another."""

    def __init__(self) -> None:
        super().__init__(1)

    def each(self, f: Callable[..., Any], shared: Sequence[Any], items: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        for i, item in enumerate(items):
            yield i, f(*shared, item)


class _Order(NamedTuple):
    """What a worker is told: a function and an item, pickled together, the tokens of what is shared, what has been
    imported by request, and the device that pieces use."""

    work: bytes
    tokens: list[str]
    imports: list[str]
    device: str


class _Outcome(NamedTuple):
    """What a piece gave or raised; its CPU and GPU seconds; where it ran, and the versions there."""

    value: Any
    error: BaseException | None
    seconds: tuple[float, float]
    host: str
    versions: dict[str, str]


_PARTS: dict[str, Any] = {}
"""In a worker: the shared parts of its last piece, by their tokens."""


def _perform(order: _Order, fetch: Callable[[str], bytes]) -> _Outcome:
    """Do a piece, in a worker. fetch gives the pickled part of a token that is not there yet."""
    import torch

    from hgenv.devices import GpuTime

    torch.set_num_threads(1)
    value, raised, begin, gpu = None, None, time.process_time(), GpuTime(torch.device(order.device))
    gpu.begin()
    try:
        for module in order.imports:
            registry.load(module)
        parts = {t: _PARTS[t] if t in _PARTS else pickle.loads(fetch(t)) for t in order.tokens}
        _PARTS.clear()
        _PARTS.update(parts)
        f, item = pickle.loads(order.work)
        value = f(*parts.values(), item)
        pickle.dumps(value)
    except Exception as error:
        value, raised = None, _sendable(error)
    gpu.end()
    seconds = (time.process_time() - begin, gpu.seconds())
    return _Outcome(value, raised, seconds, os.uname().nodename, interpreter.versions())


def _sendable(error: Exception) -> Exception:
    """The error, or one that says the same, with what it came from in its notes."""
    told = "".join(traceback.format_exception(error))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # it is made of things that cannot be pickled
        error = RuntimeError(f"{type(error).__name__}: {error}")
    error.__cause__ = error.__context__ = None
    error.add_note(told)
    return error


class _Elsewhere(Workers):
    """What workers in other processes share: parts are pickled once, and outcomes are charged."""

    dumps: Callable[[Any], bytes] = staticmethod(pickle.dumps)

    def __init__(self, count: int, device: str) -> None:
        super().__init__(count)
        self.device = device
        self._name, self._numbers = uuid.uuid4().hex, itertools.count()
        self._kept: list[tuple[Any, str, Any]] = []  # (a shared part, its token, what was put where workers find it)
        self._named: set[str] = set()

    @abstractmethod
    def _put(self, part: bytes) -> Any:
        """Put a pickled part where workers find it."""

    def _order(self, f: Callable[..., Any], shared: Sequence[Any], items: Sequence[Any]) -> list[_Order]:
        known, self._kept = {id(part): (part, token, put) for part, token, put in self._kept}, []
        for part in shared:
            new = (part, f"{self._name}-{next(self._numbers)}")
            self._kept.append(known[id(part)] if id(part) in known else (*new, self._put(self._pickled(part))))
        tokens, imports = [token for _, token, _ in self._kept], registry.loaded()
        return [_Order(self._pickled((f, item)), tokens, imports, self.device) for item in items]

    def _pickled(self, what: Any) -> bytes:
        try:
            return self.dumps(what)
        except Exception as error:  # pickle raises many types
            raise ValueError(f"{type(what).__name__} cannot be sent to other processes, with workers=1 it need not be: "
                             f"{error}") from error  # fmt: skip

    def _taken(self, outcome: _Outcome) -> Any:
        """The value of an outcome, which is charged. Raises its error."""
        self.seconds += outcome.seconds
        self._say_what_differs(outcome)
        if outcome.error is not None:
            raise outcome.error
        return outcome.value

    def _say_what_differs(self, outcome: _Outcome) -> None:
        """Results of a machine may have other bits if what they depend on is another there: name it, once."""
        ours = interpreter.versions()
        theirs = {name: version for name, version in outcome.versions.items() if name != "platform"}
        found = [f"{name} {version}, here {ours[name]}" for name, version in theirs.items() if version != ours[name]]
        if found and outcome.host not in self._named:
            self._named.add(outcome.host)
            print(f"hgenv: {outcome.host} has {'; '.join(found)}: its bits may differ", file=sys.stderr)


class _Member:
    """One process, and the index of the piece that it is at."""

    def __init__(self) -> None:
        self.connection, theirs = _SPAWN.Pipe()
        self.process: SpawnProcess = _SPAWN.Process(target=_serve, args=(theirs,), daemon=True)
        with interpreter.for_children():
            self.process.start()
        theirs.close()
        self.knows: set[str] = set()
        self.index: int | None = None

    def give(self, index: int, order: _Order, parts: Mapping[str, bytes]) -> None:
        """Begin a piece; what the process lacks of its parts goes with it."""
        new = {token: parts[token] for token in order.tokens if token not in self.knows}
        self.knows, self.index = set(order.tokens), index
        with suppress(ConnectionError):  # it has died while it was idle, which shows when its answer is read
            self.connection.send((order, new))

    def stop(self) -> None:
        self.process.kill()
        self.process.join()
        self.connection.close()


_SPAWN = multiprocessing.get_context("spawn")  # a fork would inherit the threads' locks


def _serve(connection: Connection) -> None:
    """Do pieces until nobody asks for more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the terminal: who gave the work decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=lambda: (wait([parent.sentinel]), os._exit(1)), daemon=True).start()
    while True:
        try:
            order, new = connection.recv()
        except EOFError:
            return
        connection.send_bytes(pickle.dumps(_perform(order, new.__getitem__)))


class Processes(_Elsewhere):
    """Processes of this machine, of one thread each; they start with the first piece and end with ours."""

    def __init__(self, count: int, device: str = "cpu") -> None:
        super().__init__(count, device)
        self._members: list[_Member] = []

    def _put(self, part: bytes) -> bytes:
        return part

    def each(self, f: Callable[..., Any], shared: Sequence[Any], items: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        if multiprocessing.current_process().daemon:
            raise WorkerError("this process may have no processes of its own: workers=1 needs none")
        orders = self._order(f, shared, items)
        parts = {token: put for _, token, put in self._kept}
        waiting, begun = deque(range(len(items))), [0] * len(items)
        try:
            while waiting or any(member.index is not None for member in self._members):
                for member in self._idle(len(waiting)):
                    index = waiting.popleft()
                    begun[index] += 1
                    member.give(index, orders[index], parts)
                for index, member in self._ready():
                    member.index = None
                    try:
                        outcome = pickle.loads(member.connection.recv_bytes())
                    except (EOFError, ConnectionError):
                        self._bury(member, begun[index])
                        waiting.appendleft(index)
                        continue
                    yield index, self._taken(outcome)
        finally:
            for member in [m for m in self._members if m.index is not None]:  # nobody waits for their piece any more
                self._members.remove(member)
                member.stop()

    def _idle(self, wanted: int) -> list[_Member]:
        """Up to so many members that have nothing to do, new ones if need be."""
        idle = [member for member in self._members if member.index is None][:wanted]
        while len(idle) < wanted and len(self._members) < self.count:
            self._members.append(_Member())
            idle.append(self._members[-1])
        return idle

    def _ready(self) -> list[tuple[int, _Member]]:
        """Those that have done their piece, or died, with its index; waits for one."""
        busy: dict[Any, tuple[int, _Member]] = {
            m.connection: (m.index, m) for m in self._members if m.index is not None
        }
        return [busy[connection] for connection in wait(list(busy))]

    def _bury(self, member: _Member, begun: int) -> None:
        """Forget one that died. Raises WorkerError if its piece has cost too many of them."""
        member.process.join()
        self._members.remove(member)
        if begun >= ATTEMPTS:
            raise WorkerError(
                f"{begun} processes have died at the same piece of work, the last with exit code "
                f"{member.process.exitcode}; -9 is what the system does when memory runs out"
            )

    def __reduce__(self) -> tuple[type[Processes], tuple[int, str]]:
        return Processes, (self.count, self.device)

    def close(self) -> None:
        for member in self._members:
            member.stop()
        self._members, self._kept = [], []


class Ray(_Elsewhere):
    """Tasks of a Ray cluster: that which this machine belongs to, or that whose head is at ray://HOST:PORT.

    A task whose node or process dies is begun again. If its device is a GPU, it claims one.
    """

    def __init__(self, address: str, device: str = "cpu") -> None:
        try:
            import ray
        except ImportError as error:
            raise ValueError(f"workers={address!r} needs Ray: pip install 'hgenv[ray]'") from error
        self._ray: Any = ray
        self.address = address
        if not ray.is_initialized():
            self._connect(address)
        super().__init__(max(1, int(self._ray.cluster_resources().get("CPU", 1))), device)
        self.dumps = ray.cloudpickle.dumps
        self._task = ray.remote(_perform_on_node).options(
            num_cpus=1, num_gpus=int(device.startswith("cuda")), max_retries=ATTEMPTS - 1, retry_exceptions=False
        )

    def _connect(self, address: str) -> None:
        where = address if address.startswith("ray://") else "auto"
        for attempt in range(1, ATTEMPTS + 1):
            try:
                _reach(address if where != "auto" else os.environ.get("RAY_ADDRESS", ""))
                self._ray.init(where, log_to_driver=False, logging_level="ERROR")
                return
            except Exception as error:  # Ray raises many types
                if attempt < ATTEMPTS and isinstance(error, ConnectionAbortedError):
                    continue  # the head of a busy cluster was slow to start what serves us
                raise WorkerError(f"workers={address!r}: no Ray cluster is reached: {_said(error)}") from error

    def _put(self, part: bytes) -> Any:
        return self._ray.put(part)

    def each(self, f: Callable[..., Any], shared: Sequence[Any], items: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        running: dict[Any, int] = {}
        try:
            orders = deque(enumerate(self._order(f, shared, items)))
            puts = [put for _, _, put in self._kept]
            while orders or running:
                while orders and len(running) < _AHEAD * self.count:
                    index, order = orders.popleft()
                    running[self._task.remote(order, puts)] = index
                done, _ = self._ray.wait(list(running), num_returns=1)
                index = running.pop(done[0])
                yield index, self._taken(self._ray.get(done[0]))
        except self._ray.exceptions.RayError as error:
            raise WorkerError(f"a piece of work failed on the Ray cluster: {_said(error)}") from error
        finally:
            for task in running:
                self._ray.cancel(task, force=True)

    def __reduce__(self) -> tuple[type[Ray], tuple[str, str]]:
        return Ray, (self.address, self.device)

    def close(self) -> None:
        self._kept = []


def _reach(address: str) -> None:
    """Raise OSError if nobody listens at HOST:PORT, which Ray needs minutes to say."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon:
        socket.create_connection((host, int(port)), timeout=10.0).close()


def _said(error: Exception) -> str:
    """What an error of Ray's says: its first line, and the last if that is of something beneath."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [""]
    beneath = f" {lines[-1]}" if lines[-1] != lines[0] and lines[0].endswith(":") else ""
    return f"{type(error).__name__}: {lines[0]}{beneath}"


def _perform_on_node(order: _Order, puts: list[Any]) -> _Outcome:
    """A task of Ray. References in a list are not resolved: a part is fetched only where it is not yet."""
    import ray

    where = dict(zip(order.tokens, puts, strict=True))
    return _perform(order, lambda token: ray.get(where[token]))


def check(text: str) -> None:
    """Raise ValueError unless `workers_of` knows the text."""
    number = re.fullmatch("[1-9][0-9]{0,3}", text) and int(text) <= 1024
    if not (number or text in ("auto", "ray") or re.fullmatch(r"ray://[^\s/]+:[0-9]+", text)):
        raise ValueError(f"workers must be 1 to 1024, 'auto', 'ray' or 'ray://HOST:PORT', got {text!r}")


def workers_of(text: str, device: str = "cpu") -> Workers:
    """1: this process; N: so many processes; auto: one a core; ray: the Ray cluster that this machine belongs to;
    ray://HOST:PORT: that whose head is there. device: what pieces use, whose seconds are counted."""
    check(text)
    if text.startswith("ray"):
        return Ray(text, device)
    count = len(os.sched_getaffinity(0)) if text == "auto" else int(text)
    return Here() if count == 1 else Processes(count, device)
