"""What a keeper is given for an exec (protocol job-item.md, sections 5.1 and 5.2)."""

from __future__ import annotations

from collections.abc import Mapping

from job_item.environ import base_environment, share_variables
from job_item.execspec import Exec
from job_item.keeper.command import Command
from job_item.link import ChildStart
from job_item.resources import rlimits
from job_item.state import exec_log


def command_of(spec: Exec, start: ChildStart, environ: Mapping[str, str]) -> Command:
    """The command of an exec; `environ` is the node's own environment."""
    folder = start.config_path.parent
    return Command(
        argv=("sh", "-c", spec.cmd),
        env={
            **base_environment(environ, start.dotenv, start.settings.pass_env),
            **exec_variables(start.settings.project, start.local_url()),
            **share_variables(start.local_url(), {**start.dotenv, **environ}),
            **spec.env,
        },
        cwd=str(folder / spec.working_dir if spec.working_dir else folder),
        spool=str(exec_log(start.state_dir, spec.key)),
        output_limit=spec.log.max_bytes,
        older=spec.log.keep,
        grace_s=spec.stop_grace,
        stop_signal=spec.stop_number,
        rlimits=rlimits(spec.resources),
        nice=spec.resources.nice,
        cgroup=spec.resources.cgroup,
        announce=True,
    )


def exec_variables(project: str, base_url: str) -> dict[str, str]:
    """What an exec is told of its node (protocol job-item.md, section 5.2)."""
    record = f"{base_url}/job/listen/job_record/:job_record_uuid"
    return {
        "JOB_ITEM_APP_ID": project,
        "JOB_ITEM_BASE_URL": base_url,
        "JOB_ITEM_CREATE_URL": f"{base_url}/job/create",
        "JOB_ITEM_LISTEN_LOG": f"{record}/log",
        "JOB_ITEM_LISTEN_NOTIF": f"{record}/notif",
        "JOB_ITEM_LISTEN_ACTION": f"{base_url}/job/job_record/:job_record_uuid/action/:action",
    }


def is_same_run(one: Command, other: Command) -> bool:
    """Whether two commands start the same thing in the same way; how it is watched and ended may differ."""
    return _run_part(one) == _run_part(other)


def _run_part(command: Command) -> tuple[object, ...]:
    return command.argv, command.env, command.cwd, command.rlimits, command.nice, command.cgroup
