"""The generator's side of hgenv's protocol: this file and numpy, under any Python from 3.8 on.

from hgenv_generator import serve

def sample(draws, rng, height, width):
    ...
    return image, target, mask

serve(sample)
"""

import json
import os
import sys
import traceback
from typing import IO, Any, Callable, Dict, Iterator, Tuple

import numpy as np


def serve(sample: Callable[..., Any]) -> None:
    """Answer hgenv's requests until there are no more.

    sample(draws, rng, height, width) makes one sample: draws are the values of the declared distributions by name,
    numbers, names, lists of names, or arrays; rng is a numpy.random.Generator of the sample's own seed, for all else
    that is random. It gives image (channels, height, width), target (targets, height, width) and mask (height, width),
    the latter None if every pixel counts. What it raises makes hgenv draw another sample instead.
    What is printed goes to the standard error, as the standard output is the protocol's.
    """
    connection = Connection()
    height, width = connection.hello["height"], connection.hello["width"]
    for request, _ in connection:
        rng = np.random.default_rng(request["seed"])
        try:
            parts = _parts(*sample(_arrays(request["draws"]), rng, height, width))
        except Exception as error:
            connection.refuse(error)
        else:
            connection.answer(parts)


class Connection:
    """hgenv's end of the pipe: requests with the arrays that go with them, one after the other.

    What is printed goes to the standard error from now on, as the standard output is the protocol's.
    """

    def __init__(self) -> None:
        self._requests, self._answers = _pipes()
        self.hello = json.loads(self._requests.readline())
        """The first line: sizes, for a generator."""
        self._say({"protocol": self.hello["protocol"]})

    def __iter__(self) -> Iterator[Tuple[Dict[str, Any], Dict[str, Any]]]:
        for line in self._requests:
            request = json.loads(line)
            arrays = {}
            for name, shape in request.get("arrays", {}).items():
                numbers = self._requests.read(4 * int(np.prod(shape)))
                arrays[name] = np.frombuffer(numbers, "<f4").reshape(shape)
            yield request, arrays

    def answer(self, parts: Dict[str, Any]) -> None:
        """The arrays that were asked for, by name, in their order."""
        arrays = {name: np.ascontiguousarray(part, "<f4") for name, part in parts.items()}
        self._say({name: array.shape for name, array in arrays.items()}, *arrays.values())

    def refuse(self, error: Exception) -> None:
        """Why what was asked for cannot be made."""
        traceback.print_exc()
        self._say({"error": f"{type(error).__name__}: {error}"})

    def _say(self, header: Dict[str, Any], *arrays: Any) -> None:
        self._answers.write(json.dumps(header).encode() + b"\n" + b"".join(array.tobytes() for array in arrays))
        self._answers.flush()


def _pipes() -> Tuple[IO[bytes], IO[bytes]]:
    """The protocol's ends, which nothing else can then write to or read from."""
    sys.stdout.flush()
    answers, requests = os.fdopen(os.dup(1), "wb"), os.fdopen(os.dup(0), "rb")
    os.dup2(2, 1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    return requests, answers


def _arrays(draws: Dict[str, Any]) -> Dict[str, Any]:
    """Lists of numbers as arrays; names stay as they are."""
    found = {}
    for name, value in draws.items():
        numbers = isinstance(value, list) and not isinstance(value[0], str)
        found[name] = np.asarray(value) if numbers else value
    return found


def _parts(image: Any, target: Any, mask: Any = None) -> Dict[str, Any]:
    """What a sample consists of, in the order of the protocol."""
    image = np.asarray(image)
    if mask is None:
        mask = np.ones(image.shape[-2:])
    mask = np.asarray(mask)
    return {"image": image, "target": target, "mask": mask if mask.ndim == 3 else mask[None]}
