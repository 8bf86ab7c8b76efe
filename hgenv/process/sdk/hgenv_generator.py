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
from typing import IO, Any, Callable, Dict, Tuple

import numpy as np


def serve(sample: Callable[..., Any]) -> None:
    """Answer hgenv's requests until there are no more.

    sample(draws, rng, height, width) makes one sample: draws are the values of the declared distributions by name,
    numbers, names, lists of names, or arrays; rng is a numpy.random.Generator of the sample's own seed, for all else
    that is random. It gives image (channels, height, width), target (targets, height, width) and mask (height, width),
    the latter None if every pixel counts. What it raises makes hgenv draw another sample instead.
    What is printed goes to the standard error, as the standard output is the protocol's.
    """
    requests, answers = _pipes()
    hello = json.loads(requests.readline())
    _say(answers, {"protocol": hello["protocol"]})
    for line in requests:
        request = json.loads(line)
        rng = np.random.default_rng(request["seed"])
        try:
            found = sample(_arrays(request["draws"]), rng, hello["height"], hello["width"])
            parts = _parts(*found)
        except Exception as error:
            traceback.print_exc()
            _say(answers, {"error": f"{type(error).__name__}: {error}"})
            continue
        _say(answers, {name: part.shape for name, part in parts.items()}, *parts.values())


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
    """What a sample consists of, as little-endian float32, in the order of the protocol."""
    image, target = (np.ascontiguousarray(part, "<f4") for part in (image, target))
    if mask is None:
        mask = np.ones(image.shape[-2:])
    mask = np.ascontiguousarray(mask, "<f4")
    return {"image": image, "target": target, "mask": mask if mask.ndim == 3 else mask[None]}


def _say(answers: IO[bytes], header: Dict[str, Any], *arrays: Any) -> None:
    answers.write(json.dumps(header).encode() + b"\n" + b"".join(array.tobytes() for array in arrays))
    answers.flush()
