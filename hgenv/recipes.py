"""Recipes: published methods, and settings that are often compared, as words of `hgenv run`."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import NamedTuple


class Recipe(NamedTuple):
    """words: what its name stands for; source: who had the idea; differs: how theirs is not ours."""

    words: str
    source: str
    differs: str = ""


FROM_SCRATCH = " --probes initial --probe-steps 50"
"""A probe is a short training of the initial network: a function of beta that does not move."""
_BY_NEVERGRAD = "by nevergrad; probes begin at the current network"
_BY_OPTUNA = "by Optuna; probes begin at the initial network, so that losses of all steps can be compared"
PAPER_RULE = "--rule rmsprop --decay-after None --step 0.02"
"""On beta (Yang & Deng 2020); the step is ours."""
PAPER_GRADIENT = (
    "hybrid-gradient --gradient image --gradient-steps all --gradient-weights last --gradient-scaling paper "
    + PAPER_RULE
)
PAPER_SEARCH = "random-search --variant BRS --train-steps 10 " + PAPER_RULE
PAPER_TRAINING = "--inner sgd --inner-momentum 0 --inner-learning-rate 0.1 --weight-average 0 --validation error"
"""Of the network."""
BEST_ESTIMATOR: dict[str, object] = {"gradient": "score", "gradient_natural": True, "gradient_horizon": 30_000}
"""Options of a run that uses the gradient, by their names, where no estimator is named. Chosen by three seeds of
ShapeNormals and one of SceneNormals, and used unchanged elsewhere (docs/results/horizon.md)."""
BEST_WITHOUT_DENSITY: dict[str, object] = {"gradient": "perturbed", "gradient_horizon": 30_000}
"""The same where the task has no density."""
BEST_DESCENT: dict[str, object] = {"rule": "average", "step": 0.25}
"""Of hybrid-gradient along the first: steps of 0.03 nat."""
RECIPES = {
    "paper": Recipe(
        f"{PAPER_GRADIENT} {PAPER_TRAINING}",
        "hybrid gradient (Yang & Deng 2020)",
        "4 directions, their length, the steps of an update and of beta are ours: the paper does not say",
    ),
    "basic-random-search": Recipe(
        f"{PAPER_SEARCH} {PAPER_TRAINING}",
        "basic random search (Mania et al. 2018) in the setting of Yang & Deng (2020)",
        "2 directions, their length and the training of a probe are ours",
    ),
    "learning-to-simulate": Recipe(
        "reinforce --play probes --reward level --samples 4 --train-steps 10" + FROM_SCRATCH,
        "Learning to Simulate (Ruiz et al. 2019)",
        "a training from scratch has 50 steps; the update rule is ours",
    ),
    "meta-sim": Recipe(
        "reinforce --play steps --reward level --samples 1 --sigma 0.04 --baseline-decay 0.3 --rule adam "
        "--distribution-matching 1",
        "Meta-Sim (Kar et al. 2019)",
        "beta instead of a network over scene graphs; MMD of pixels instead of Inception's features, and part of the "
        "reward instead of differentiated through the renderer",
    ),
    "autosimulate": Recipe(
        "hybrid-gradient --gradient score --gradient-weights last",
        "AutoSimulate (Behl et al. 2020)",
        "the training steps are reversed to first order instead of the Hessian inverted; leave-one-out baseline",
    ),
    "dataset-policy-gradient": Recipe(
        "hybrid-gradient --gradient score --gradient-curvature --gradient-exact --gradient-weights last "
        "--train-steps 10 --gradient-steps 10 --rule adam",
        "Dataset Policy Gradient (Thrush et al. 2026)",
        "beta instead of a language model; the network is trained on, and differentiated through its last steps",
    ),
    "cma": Recipe("nevergrad --name CMA --train-steps 10", "CMA-ES (Hansen & Ostermeier 2001)", _BY_NEVERGRAD),
    "tbpsa": Recipe("nevergrad --name TBPSA --train-steps 10", "TBPSA (Hellwig & Beyer 2016)", _BY_NEVERGRAD),
    "one-plus-one": Recipe(
        "nevergrad --name OnePlusOne --train-steps 10", "(1 + 1) evolution strategy (Rechenberg 1973)", _BY_NEVERGRAD
    ),
    "tpe": Recipe(
        "optuna --sampler TPE --train-steps 10" + FROM_SCRATCH, "Parzen estimators (Bergstra et al. 2011)", _BY_OPTUNA
    ),
    "gp": Recipe(
        "optuna --sampler GP --train-steps 10" + FROM_SCRATCH, "Bayesian optimisation (Ament et al. 2023)", _BY_OPTUNA
    ),
    "image": Recipe("hybrid-gradient --gradient image", "the paper's estimator with our settings"),
    "influence": Recipe("hybrid-gradient --gradient influence", "differences of influence"),
    "score": Recipe("hybrid-gradient --gradient score", "influence and score function"),
    "mixed": Recipe("hybrid-gradient --gradient mixed", "score for rules, differences for the rest"),
    "perturbed": Recipe("hybrid-gradient --gradient perturbed", "influence and perturbation"),
    "ppo": Recipe("sb3 --algorithm PPO", "PPO (Schulman et al. 2017)", "by stable-baselines3"),
    "sac": Recipe("sb3 --algorithm SAC", "soft actor-critic (Haarnoja et al. 2018)", "by stable-baselines3"),
    "td3": Recipe("sb3 --algorithm TD3", "TD3 (Fujimoto et al. 2018)", "by stable-baselines3"),
}
RECIPES |= {
    f"{name}-initial": Recipe(
        RECIPES[name].words + FROM_SCRATCH, RECIPES[name].source, RECIPES[name].differs.replace("current", "initial")
    )
    for name in ("cma", "tbpsa", "one-plus-one")
}


def expanded(words: Sequence[str], optimizers: Container[str]) -> list[str]:
    """Words of which the first may be a recipe's name, which stands for its words; those that follow override them.

    An optimizer of the same name goes first.
    """
    if not words or words[0] not in RECIPES or words[0] in optimizers:
        return list(words)
    return [*RECIPES[words[0]].words.split(), *words[1:]]
