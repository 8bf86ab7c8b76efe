"""hgenv completion: scripts of the shells, which ask hgenv itself for what may come next."""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from hgenv.cli import commands
from hgenv.cli.commands import BENCHES, COMMANDS, EXPORTS

SCRIPTS = {
    "bash": """_hgenv() {
    local IFS=$'\\n'
    COMPREPLY=($(hgenv completion --complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _hgenv hgenv
""",
    "zsh": """#compdef hgenv
_hgenv() {
    local -a found
    found=(${(f)"$(hgenv completion --complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)"})
    (( $#found )) && compadd -a found || _files
}
compdef _hgenv hgenv
""",
    "fish": """function __hgenv
    hgenv completion --complete -- (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null
end
complete -c hgenv -a '(__hgenv)'
""",
}
HOW = """where the script goes:
  bash  hgenv completion bash > ~/.local/share/bash-completion/completions/hgenv
  zsh   hgenv completion zsh > FOLDER/_hgenv, FOLDER being in $fpath
  fish  hgenv completion fish > ~/.config/fish/completions/hgenv.fish"""


def command(words: list[str]) -> int:
    parser = argparse.ArgumentParser(
        "hgenv completion", description="Print the script that lets a shell complete commands and names.",
        epilog=HOW, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    if words[:2] == ["--complete", "--"]:  # what the scripts ask
        print("\n".join(candidates(words[2:])))
        return 0
    parser.add_argument("shell", choices=sorted(SCRIPTS))
    print(SCRIPTS[parser.parse_args(words).shell], end="")
    return 0


def candidates(words: list[str]) -> list[str]:
    """What the last of the words after `hgenv`, which may be empty, can become. Nothing: let the shell offer files."""
    before, begun = words[:-1], words[-1] if words else ""
    return sorted(word for word in _possible(before, begun) if word.startswith(begun))


def _possible(before: list[str], begun: str) -> Iterable[str]:
    """All that may follow the words before."""
    if not before:
        return [*COMMANDS, "--help", "--version"]
    last = before[-1]
    if last == "--env":
        return commands.environments()
    if last == "--gradient":
        return commands.estimators()
    if before == ["bench"]:
        return [*BENCHES, *commands.environments()]
    if before[:-1] == ["bench"] and last in BENCHES and last not in ("scaling", "render") and not begun.startswith("-"):
        return commands.environments()
    if before == ["export"]:
        return EXPORTS
    if before == ["run"]:
        return [*commands.players(), *commands.recipes()]
    if before == ["completion"]:
        return SCRIPTS
    return _options(before[0]) if begun.startswith("-") else []


def _options(command: str) -> list[str]:
    """The options that are known without importing what the command needs."""
    own = {
        "list": ["--verbose", "--json"], "baselines": ["--json"], "data": ["--json", "--datasets"],
        "dashboard": ["--port"], "export": ["--out", "--overwrite"],
    }  # fmt: skip
    with_environment = ["--env", "--size"] if command in ("show", "baselines", "run", "doctor") else []
    limits = ("seconds", "wall-seconds", "gpu-seconds", "steps", "train-steps", "renders")
    budget = [f"--max-{limit}" for limit in limits]
    run = ["--out", "--seed", "--start", "--no-figures", "--log", "--gradient", *budget] if command == "run" else []
    return ["--help", "--import", *own.get(command, []), *with_environment, *run]
