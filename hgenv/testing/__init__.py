"""Is it right? The contracts of a task and of an optimizer, checked; what is wrong is said in words.

def test_discs() -> None:
    check_task(TiltedDiscs())
"""

from hgenv.testing.contract import ContractError
from hgenv.testing.optimizer import check_optimizer
from hgenv.testing.task import check_task

__all__ = ["ContractError", "check_optimizer", "check_task"]
