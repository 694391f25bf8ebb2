"""The command: parses, calls, prints. Nothing here computes."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from resnet_repro import __version__
from resnet_repro.cli import (
    compare,
    data,
    describe,
    doctor,
    evaluate,
    export,
    list,
    report,
    run,
    status,
    study,
    verify,
    watch,
)
from resnet_repro.cli.console import write_what_fits
from resnet_repro.errors import UserError
from resnet_repro.markup import printable

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Deep Residual Learning for Image Recognition (He et al., 2015), artifact by artifact.",
)
COMMANDS: dict[str, Callable[..., None]] = {
    "list": list.list_command,
    "describe": describe.describe,
    "run": run.run,
    "evaluate": evaluate.evaluate,
    "export": export.export,
    "study": study.study,
    "watch": watch.watch,
    "status": status.status,
    "compare": compare.compare,
    "report": report.report,
    "verify": verify.verify,
    "data": data.data,
    "doctor": doctor.doctor,
}
for name, command in COMMANDS.items():
    app.command(name)(command)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"resnet-repro {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show it.")
    ] = False,
) -> None:
    """What holds for every command."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; bad input gives one line on standard error and status 2."""
    write_what_fits()
    return _guarded(lambda: app(arguments, standalone_mode=False))


def run_script(path: str) -> None:
    """What `python experiments/<artifact>.py ...` does: `run <artifact> ...`, and exit."""
    raise SystemExit(main(["run", Path(path).stem, *sys.argv[1:]]))


def _guarded(call: Callable[[], Any]) -> int:
    try:
        value = call()
        sys.stdout.flush()
    except UserError as error:
        return 2 if error.told else _complain(str(error))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stderr.close()  # the reader left, as `| head` does
        return 0
    except OSError as error:
        # What could not be written is dropped, or the interpreter would try again at its end.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _complain(f"{error.filename or 'output'}: {error.strerror or error}")
    except Exception as error:
        # Typer's usage errors; their class has moved between its releases.
        say = getattr(error, "format_message", None)
        if say is None:
            raise
        return _complain(str(say())) if say() else 2  # no arguments: the help was shown
    return value if isinstance(value, int) else 0


def _complain(text: str) -> int:
    sys.stderr.write("error: " + printable(" ".join(text.split())) + "\n")
    return 2
