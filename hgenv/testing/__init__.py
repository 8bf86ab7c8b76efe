"""Checks for the authors of tasks and optimizers, which say in words what is wrong and how to mend it.

    from hgenv.testing import check_task

    def test_mine() -> None:
        check_task(Mine())

The first check that finds something raises CheckError. They need no pytest.
"""

from hgenv.testing.finding import CheckError
from hgenv.testing.optimizer import check_optimizer
from hgenv.testing.task import check_task

__all__ = ["CheckError", "check_optimizer", "check_task"]
