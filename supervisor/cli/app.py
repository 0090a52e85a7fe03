"""The root of the command line and the one place where failures become words and exit codes."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from job_item import __version__
from supervisor.cli import (
    dead,
    doctor,
    execs,
    init,
    jobs,
    logs,
    node,
    register,
    release,
    reload,
    save,
    service,
    settings,
    status,
    submit,
    update,
    upload,
)
from supervisor.cli.failure import tell
from supervisor.cli.given import ConfigOption
from supervisor.cli.help import HELP_OPTIONS, find_help

NAME = "job_item"

app = typer.Typer(
    name=NAME,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": list(HELP_OPTIONS)},
    help="Run jobs on this machine, watched and kept safe. Without a command: run the node in the foreground.",
    epilog="Exit codes: 0 done, 1 failure, 2 usage, 69 unavailable, 70 bug, 75 restart me, 76 cascade stop, "
    "78 configuration.",
)

for name, command in (
    ("submit", submit.submit),
    ("jobs", jobs.list_jobs),
    ("status", status.show_status),
    ("logs", logs.show_log),
    ("cancel", jobs.cancel_jobs),
    ("reload", reload.reload_settings),
    ("save", save.save_input),
    ("upload", upload.upload_files),
    ("init", init.make_config),
    ("check", node.check_settings),
    ("doctor", doctor.examine_host),
    ("update", update.update_node),
    ("errors", register.list_codes),
    ("install-service", service.install_service),
    ("child_process", node.run_child_process),
    ("child_execs_process", node.run_child_execs_process),
):
    app.command(name)(command)
app.command("run", hidden=True)(node.run_node)
app.add_typer(execs.app, name="execs")
app.add_typer(dead.app, name="dead")
app.add_typer(settings.app, name="config")
app.add_typer(release.app, name="release")


def _show_version(value: bool) -> None:
    if value:
        from job_item.built import name_version

        typer.echo(f"job_item {name_version(__version__)}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _root(
    ctx: typer.Context,
    config: ConfigOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Validate everything, start nothing; exit 0 or 78 (as `check`).")
    ] = False,
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and its commit.")
    ] = False,
) -> None:
    if ctx.invoked_subcommand is None:
        node.run_node(config, dry_run)
    elif dry_run:
        raise typer.BadParameter(
            f"goes with no command; to validate use `job_item check`, not {ctx.invoked_subcommand}.",
            param_hint="--dry-run",
        )


def main() -> int:
    """Run the command line of this process; typer itself ends it (`SystemExit`) where nothing failed."""
    try:
        if (text := find_help(app, sys.argv[1:], NAME)) is not None:
            typer.echo(text)
        else:
            app(prog_name=NAME)
    except Exception as error:
        return tell(error)
    return 0
