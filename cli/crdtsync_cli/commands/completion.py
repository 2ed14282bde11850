"""The command completion: prints or installs what lets a shell complete crdtsync."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from crdtsync.errors import DataError, UsageError
from crdtsync_cli.calling import Call

__all__ = ["completion_command"]

SCRIPTS = {
    "bash": """\
_crdtsync() {
    local IFS=$'\\n'
    COMPREPLY=($(crdtsync __complete bash "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _crdtsync crdtsync
""",
    "zsh": """\
#compdef crdtsync
_crdtsync() {
    local -a found
    found=("${(@f)$(crdtsync __complete zsh "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ -n "${found[1]}" ]]; then _describe crdtsync found; else _files; fi
}
compdef _crdtsync crdtsync
""",
    "fish": """\
function __crdtsync_complete
    set -l words (commandline -opc) (commandline -ct)
    crdtsync __complete fish $words[2..-1] 2>/dev/null
end
complete -c crdtsync -f -a '(__crdtsync_complete)'
""",
}
"""What each shell has to read."""

_FILES = {
    "bash": ".local/share/bash-completion/completions/crdtsync",
    "zsh": ".zfunc/_crdtsync",
    "fish": ".config/fish/completions/crdtsync.fish",
}
_ZSH_LINE = "fpath+=~/.zfunc; autoload -Uz compinit; compinit"


def completion_command(
    ctx: typer.Context,
    shell: Annotated[
        str,
        typer.Argument(metavar="SHELL", help="bash, zsh or fish; yours if not given."),
    ] = "",
    *,
    install: Annotated[
        bool, typer.Option("--install", help="Write it where the shell looks.")
    ] = False,
) -> None:
    """Print the completion script of a shell, or install it."""
    call = ctx.ensure_object(Call)
    shell = shell or Path(os.environ.get("SHELL", "")).name
    script = SCRIPTS.get(shell)
    if script is None:
        raise UsageError(
            f"there is no completion for the shell {shell!r}",
            hint=f"Name one of: {', '.join(SCRIPTS)}.",
        )
    if not install:
        call.out(script.rstrip("\n"))
        return
    path = Path.home() / _FILES[shell]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(script, encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}") from error
    call.say(f"written to {path}; it works in new shells")
    if shell == "zsh":
        call.say(f"hint: ~/.zshrc needs: {_ZSH_LINE}")
