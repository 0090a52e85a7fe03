"""What people see of the node, made of what it says of itself over the local API."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.text import Text

from supervisor.show import pairs, word
from supervisor.views import Record, exec_table, job_table
from supervisor.wording import duration, harmless, moment


def node_view(node: Record) -> RenderableType:
    """The node at a glance."""
    state = (
        word("ready") if node["ready"] else Text(harmless(f"not ready: {'; '.join(node['reasons'])}"), style="yellow")
    )
    rooms = (("supervisor", node["supervisor"]), ("worker", node["worker"]), ("execs", node["execs"]))
    running, queued = node["counts"]["running"], node["counts"]["queued"]
    parts: list[RenderableType] = [
        pairs(
            {
                "node": f"{node['identity']} (job_item {node['version']})",
                "state": state,
                "up for": duration(node["uptime_s"]),
                "api": node["url"],
                "processes": ", ".join(f"{room} {process['pid'] or '-'}" for room, process in rooms),
                "settings": settings_line(node["settings"]),
                **update_line(node.get("update")),
                **versions_line(node.get("versions")),
                "slots": f"{running} of {node['slots']} in use",
                "queued": str(queued),
                **({"job api": job_api_line(node["reefguide"])} if node.get("reefguide") else {}),
                **others(node),
            }
        )
    ]
    parts += rejected(node["settings"])
    if node["commands"]:
        parts += ["", exec_table(node["commands"])]
    if node["jobs"]:
        parts += ["", job_table(node["jobs"])]
    return Group(*parts)


def job_api_line(state: Record) -> Text:
    """How the node stands with the API that it polls."""
    waiting = f"; results that wait to be posted: {state['unposted']}" if state["unposted"] else ""
    if state["connected"]:
        return Text(harmless(f"{state['url']} answers since {moment(state['since'])}{waiting}"))
    code = f" [{state['code']}]" if state["code"] else ""
    return Text(harmless(f"{state['url']}: {state['reason']}{code}{waiting}"), style="yellow")


def update_line(update: Record | None) -> dict[str, Text]:
    """The newer version that is offered; nothing where there is none."""
    if update is None:
        return {}
    return {"update": Text(harmless(f"{update['notice']} [{update['code']}]"), style="yellow")}


def others(node: Record) -> dict[str, str | Text]:
    """The Job Manager and the broker, where the node has them, and what waits for them; older nodes may not say it."""
    facts: dict[str, str | Text] = {}
    if manager := node.get("manager"):
        answer = f"{manager['url']}, last answer {moment(manager['answered_at'])}"
        away = Text(harmless(f"{answer}; {manager['reason']} [{manager['code']}]"), style="yellow")
        facts["job manager"] = away if manager["reason"] else answer
    if broker := node.get("broker"):
        away = Text(harmless(f"{broker['type']}, away: {broker['reason']}"), style="yellow")
        facts["broker"] = f"{broker['type']}, connected" if broker["connected"] else away
    if outbox := node.get("outbox"):
        waiting = ", ".join(f"{number} {kind}" for kind, number in outbox["waiting"].items() if number)
        facts["unsent"] = waiting or "nothing"
    return facts


def versions_line(versions: Record | None) -> dict[str, Text]:
    """Whose releases the node takes, and what became of the last update; nothing where they are off."""
    if versions is None:
        return {}
    line = f"channel {versions['channel']}" if versions["channel"] else "updates are off"
    last, style = versions["last"], ""
    if last:
        reason = f": {last['reason']}" if last["reason"] else ""
        line += f", {last['version']} {last['result']} {moment(last['at'])}{reason}"
        style = "yellow" if reason or versions["on_trial"] else ""
    if before := versions["previous"]:
        line += f"; before it {before}"
    return {"versions": Text(harmless(line), style=style)}


def settings_line(settings: Record) -> Text:
    """Which settings are in force, and who has still to take them over."""
    line = f"in force since {moment(settings['since'])} ({settings['digest'][:12] or 'no digest'})"
    if settings["faults"]:
        return Text(f"{line}; the newest version has faults", style="red")
    if settings["pending"]:
        return Text(f"{line}; still to be taken over by: {', '.join(settings['pending'])}", style="yellow")
    return Text(line)


def rejected(settings: Record) -> Iterator[RenderableType]:
    """Why the newest version of the configuration is not in force."""
    if settings["faults"]:
        yield ""
        yield Text("The newest version of the configuration is not in force, the old settings stay:", style="red")
    for fault in settings["faults"]:
        yield Text(harmless(f"  {fault}"))
