"""One cell of a comparison: its commands in one process, as importing torch takes longer than a short run.

`python -m hgenv.cli.cell COMMANDS`, where COMMANDS is JSON, a list of lists of words. Standard output is for the answer
alone: nothing if all went well, else JSON {"reason": TEXT}. What the commands print is dropped; their standard error is
passed on.
"""

from __future__ import annotations

import json
import os
import signal
import stat
import sys
import threading
import time
import traceback

from hgenv.cli.interruption import interruptible, interruption_status
from hgenv.cli.main import execute, told


def play(commands: list[list[str]]) -> tuple[int, str]:
    """Exit status of the first command that fails, and why; (0, "") if none does."""
    for words in commands:
        try:
            status = execute(words)
        except KeyboardInterrupt as interruption:
            return interruption_status(interruption), "interrupted"
        except SystemExit as stop:  # of the parser, which has written more to standard error
            code = stop.code if isinstance(stop.code, int) and stop.code else 2
            return code, f"the options of `hgenv {' '.join(words[:2])}` were refused"
        except Exception as error:
            traceback.print_exc()
            return 2, told(error)
        if status:
            return status, f"`hgenv {' '.join(words[:2])}` ended with status {status}"
    return 0, ""


def end_with_parent() -> None:
    """Be terminated when standard input, a pipe of which nothing comes, is closed: whoever holds its other end died."""
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(3.0)  # for a last checkpoint
    os._exit(143)


if __name__ == "__main__":
    if stat.S_ISFIFO(os.fstat(0).st_mode):
        threading.Thread(target=end_with_parent, daemon=True).start()
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    with interruptible():
        status, reason = play(json.loads(sys.argv[1]))
    if reason:
        print(json.dumps({"reason": reason}), file=answer)
    answer.close()
    sys.exit(status)
