"""The one register of error codes: what each means and what to do about it.

A code is never reused. `was` keeps the four codes that users of the Go worker grep for (architecture, section 8).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Code:
    """One entry of the register."""

    code: str
    meaning: str
    remedy: str
    was: str | None = None


# fmt: off
_ENTRIES = (
    # CFG: settings
    Code("ERR-CFG-001", "The configuration file cannot be read.", "Name the right file (option --config or CONFIG_PATH; without both it is config.yaml here) and see that you may read it."),
    Code("ERR-CFG-002", "The configuration file is not proper YAML.", "Correct the text at this place: indent with blanks, close brackets and quotes, quote texts that hold `: ` or ` #`."),
    Code("ERR-CFG-003", "A key stands twice in the same mapping.", "Keep one of the two."),
    Code("ERR-CFG-004", "There is no setting of this name.", "Correct the name or remove the line."),
    Code("ERR-CFG-005", "A setting is of the wrong kind.", "Write the kind of value that the message names."),
    Code("ERR-CFG-006", "A setting that is needed is missing.", "Add the setting at this place."),
    Code("ERR-CFG-007", "A setting has a value that it cannot have.", "Choose a value as the message says."),
    Code("ERR-CFG-008", "A variable that the configuration uses is not set.", "Set it in the environment or in the file .env beside the configuration; set it to nothing if it shall be empty."),
    Code("ERR-CFG-009", "The file .env cannot be read.", "Write NAME=value lines; quote values that hold quotes, ` #` or line ends."),
    Code("ERR-CFG-010", "A duration cannot be read.", "Write a number of seconds, or a number with one of ms, s, m, h, d."),
    Code("ERR-CFG-011", "A size cannot be read.", "Write a number of bytes, or a number with one of KiB, MiB, GiB, TiB (1024) or kB, MB, GB, TB (1000)."),
    Code("ERR-CFG-012", "Two jobs have the same event.", "Give each job its own event, or merge the two."),
    Code("ERR-CFG-013", "An event has a name that it cannot have.", "Use at most 128 characters without blanks, `*` and `>`; dots only between words."),
    Code("ERR-CFG-014", "Two execs have the same key.", "Give each exec its own key (without one, the name is the key)."),
    Code("ERR-CFG-015", "The identity of the node is not acceptable.", "Use 1 to 128 letters, digits, `.`, `_`, `:`, `@` or `-`, the first a letter or digit."),
    Code("ERR-CFG-016", "A file that holds a secret cannot be used.", "See that the file is there, has the secret as its text, and may be read by this user."),
    Code("ERR-CFG-017", "A secret is given twice.", "Keep either the secret or the file that holds it."),
    Code("ERR-CFG-018", "The API would be open to other machines without a token.", "Set api.token or api.token_file, or let api.host be 127.0.0.1."),
    Code("ERR-CFG-019", "Brokers and the Job Manager are not supported by this version yet.", "Remove end_point and broker_connection; the node then uses its embedded queue."),
    Code("ERR-CFG-020", "The directory of jobs cannot be used.", "Let the node's user write there, or set work_dir to a directory that it may write to."),
    Code("ERR-CFG-021", "A working_dir cannot be used.", "Create the directory, let the node's user enter it, or correct the path (relative to the configuration file)."),
    Code("ERR-CFG-022", "A shell was not found.", "Install it, or set `shell` to the name or path of one that is there."),
    Code("ERR-CFG-023", "The program of a command was not found.", "Install it, or correct its name; jobs that need it would fail."),
    Code("ERR-CFG-024", "Other users of this machine may read a secret.", "Take the permission away: chmod o-r FILE."),
    Code("ERR-CFG-025", "An event has the name of a control message.", "Choose another name for the event: `<project>.restart` asks nodes to restart."),
    Code("ERR-CFG-026", "The node may open too few files for its jobs.", "Raise the hard limit of open files (`ulimit -Hn`, LimitNOFILE=), or lower limits.concurrency."),
    Code("ERR-CFG-027", "The configuration file exists already.", "Name another file (option --config), or replace this one with --force."),
    Code("ERR-CFG-029", "A configuration that says nothing is not taken over while the node runs.", "Write the settings again; to run with an empty file, restart the node."),
    Code("ERR-CFG-030", "The system does not tell of edits of the configuration.", "Nothing is lost: the node looks once a second. Raise fs.inotify.max_user_instances or max_user_watches if they are used up."),
    Code("ERR-CFG-031", "An exec depends on one that there is not.", "Correct the key in `depends_on`, or remove it; a key is an exec's `key`, else its `name`."),
    Code("ERR-CFG-032", "Execs depend on each other in a circle.", "Remove one of these entries of `depends_on`."),
    Code("ERR-CFG-033", "An exec waits for something that can never come true.", "Choose another condition in `depends_on`: started, ready, healthy (needs a `health` probe) or completed."),
    Code("ERR-CFG-034", "A regular expression cannot be read.", "Correct it; put a backslash before a sign that is meant literally, and single quotes around the whole."),
    Code("ERR-CFG-035", "A probe does not say which one thing it looks at.", "Set exactly one of cmd, http and tcp; `ready` may have log instead."),
    # SUP: the parent process
    Code("ERR-SUP-001", "A child process ended unexpectedly.", "The node replaces it; look at the lines before this one.", was="ERR-60350903200"),
    Code("ERR-SUP-002", "A child process was silent for too long and is replaced.", "Look at what kept it busy; heartbeat.timeout says how long it may be silent."),
    Code("ERR-SUP-003", "A child process could not be started.", "The node tries again after a pause; look at the lines before this one."),
    Code("ERR-SUP-004", "A child process died before it was ready too often; the node gives up.", "Look at the lines before this one and start the node again; `restart` says how often is too often."),
    Code("ERR-SUP-005", "The state folder is already in use.", "Stop the node that uses it, or name another folder as `state_dir`."),
    Code("ERR-SUP-006", "The state folder cannot be used.", "Check its owner, its permissions and the disk, or name another folder as `state_dir`."),
    Code("ERR-SUP-007", "Others may write in the state folder.", "Take that permission away, or name another folder as `state_dir`."),
    Code("ERR-SUP-008", "The port of the API is taken.", "Stop the program that has it, or set another `api.port` (0 = any free port)."),
    Code("ERR-SUP-009", "The address of the API cannot be used.", "Set `api.host` to an address of this machine and `api.port` to a port that you may use."),
    Code("ERR-SUP-010", "The node did not drain in time; what was left is killed.", "Raise `drain_grace` if jobs need longer to end."),
    Code("ERR-SUP-011", "Processes of a dead child cannot be ended.", "End them by hand; they may belong to another user or wait for a device."),
    Code("ERR-SUP-012", "A child process asked the node to stop.", "Look at the reason that it gave."),
    Code("ERR-SUP-013", "A child process refuses its configuration.", "Correct what it names in the lines before this one and start the node again."),
    Code("ERR-SUP-014", "A room of the node makes no progress; the watchdog of the service manager is not fed.", "Look at the lines before this one; without progress the service manager starts the node again."),
    Code("ERR-SUP-015", "The node does not run on this system.", "Use Linux or macOS; on Windows use WSL 2, which is Linux."),
    Code("ERR-SUP-020", "A child process did not take new settings over in time; it is replaced.", "Look at the lines before this one; its successor has the new settings."),
    Code("ERR-SUP-021", "The settings could not be read again.", "The old ones stay in force; look at the reason, and ask again with `job_item reload`."),
    Code("ERR-SUP-022", "The background commands cannot be reached.", "Try again in a moment; without `execs` in the configuration there are none."),
    Code("ERR-SUP-023", "The settings cannot be read again now.", "Wait until the node is back, or until the orders before this one are answered."),
    Code("ERR-SUP-050", "No node runs here.", "Start one with `job_item`, or name the configuration of the one that runs (option --config)."),
    Code("ERR-SUP-051", "The node does not answer.", "Look at its log; try again in a moment."),
    Code("ERR-SUP-052", "The node's answer is not understood.", "Use the same version of job_item for the node and the command line."),
    Code("ERR-SUP-053", "The packages of job_item do not belong together.", "Install job_item into an environment of its own, or leave the folder that holds packages of the same names."),
    Code("ERR-SUP-054", "The command line is not usable.", "Look at the command with --help."),
    Code("ERR-SUP-055", "The program met an error that it should not meet (a bug).", "Run it again with LOG_LEVEL=DEBUG to see the trace, and report it."),
    Code("ERR-SUP-056", "There is no such error code.", "List them all with `job_item errors`."),
    Code("ERR-SUP-057", "A server that the settings name cannot be reached.", "Check its address and that it runs; the node itself keeps trying."),
    # LNK: the link between parent and child
    Code("ERR-LNK-001", "A message between the node's processes is not understood; the child is replaced.", "Start the node again; it may have been updated while it ran."),
    Code("ERR-LNK-002", "A child process could not take new settings over (a bug); it is replaced, and its successor starts with them.", "Please report the reason in this line."),
    Code("ERR-LNK-003", "The rest of the node did not answer an order in time.", "Look at the log of the node; the order may still be carried out."),
    Code("ERR-LNK-004", "A room that is run alone takes no orders.", "Start the whole node with `job_item`, or end and start this room again."),
    # BRK: brokers
    # SRC: sources
    # JOB: jobs as they come in
    Code("ERR-JOB-001", "No job is configured for this event.", "Use an event of `jobs` in the configuration file."),
    Code("ERR-JOB-002", "The request names another project.", "Use the project id of this node, or leave app_id out."),
    Code("ERR-JOB-003", "The task id is not acceptable.", "Use 1 to 128 letters, digits, `_` or `-`, the first a letter or digit."),
    Code("ERR-JOB-004", "The queue is full.", "Try again later, or raise limits.queue."),
    Code("ERR-JOB-005", "The node is stopping and takes no new jobs.", "Try again when it is back."),
    Code("ERR-JOB-006", "There is no such job on this node.", "Look at `job_item jobs`; ended jobs are kept as `keep` says."),
    Code("ERR-JOB-007", "The body of the request is not usable.", "Send a JSON document as the API documentation shows."),
    Code("ERR-JOB-008", "The data of a job is not usable.", "Send a JSON object or array as the data of the job."),
    Code("ERR-JOB-009", "The task id belongs to another job.", "Choose another task id, or repeat the request with the same event and data."),
    Code("ERR-JOB-010", "The task has shared as much as it may.", "Give entries a `ttl_seconds`, or share the name of a file in place of its content."),
    Code("ERR-JOB-011", "The node holds as much share data as it may.", "Try again when some of it has expired; give entries a `ttl_seconds`."),
    Code("ERR-JOB-012", "Nothing is shared under this key.", "Add it first, or look whether its `ttl_seconds` is over."),
    # RUN: running a job
    Code("ERR-RUN-001", "The job's command failed.", "Read its output with `job_item logs TASK_ID`.", was="ERR-303509T3200"),
    Code("ERR-RUN-002", "The program or the working directory of the job does not exist.", "Install the program or correct `cmd`, `working_dir` or PATH (`pass_env`, `env`)."),
    Code("ERR-RUN-003", "The program of the job may not be executed.", "Check its permissions and its first line (`#!`)."),
    Code("ERR-RUN-004", "The command line and environment of the job are too long.", "Read large values from the task file instead of the command line."),
    Code("ERR-RUN-005", "The task file could not be written.", "Check the job's directory: its permissions, its space, and files named as a task."),
    Code("ERR-RUN-006", "The process that starts jobs is being replaced.", "The node tries again by itself; look at the lines before this one."),
    Code("ERR-RUN-007", "The job ran longer than its timeout.", "Raise the job's `timeout`, or see in its output what it waited for."),
    Code("ERR-RUN-008", "The job was ended on request.", "Submit it again if it is still wanted."),
    Code("ERR-RUN-009", "The process that watched over the job died.", "Look at what killed it (memory?); on_lost and retries say whether the job runs again."),
    Code("ERR-RUN-010", "The command wrote to its standard error, which its `status` rule forbids.", "Silence the command, or use `status: exit_code`."),
    Code("ERR-RUN-011", "The command was killed by a signal.", "Look at its output and the system's log: memory and CPU limits kill with a signal too."),
    Code("ERR-RUN-012", "The command could not be started.", "Look at the reason given; the system may be out of processes or memory."),
    Code("ERR-RUN-013", "The journal or the dispatcher of the job child has failed; the child is replaced.", "Please report the line: it is a bug, or a damaged disk."),
    Code("ERR-RUN-014", "There can be no more processes for jobs now: the system is out of processes, memory or descriptors.", "The node tries again by itself; raise the limits of its user (ulimit -u, ulimit -n), or lower limits.concurrency."),
    Code("ERR-RUN-015", "The job cannot be put into its cgroup.", "Let the node's user write to cgroup.procs of the cgroup that `resources` names, and of those above it (delegation), or correct the path."),
    Code("ERR-RUN-016", "A limit of the job's `resources` cannot be set.", "Choose a value that the node's user may set: a niceness below 0 needs rights."),
    Code("ERR-RUN-017", "Output of a job could not be kept.", "Make room on the disk that holds the state folder, or let the node's user write to its folder `logs`; the job itself went on."),
    # RUN 101-149: templates of commands
    Code("ERR-RUN-020", "The worker died while the job ran.", "Look at what the log says about the end of the job child; on_lost and retries say whether such a job runs again."),
    Code("ERR-RUN-101", "The template is not proper Mustache.", "Correct the tag; where the braces are meant for the command itself, choose other delimiters first, as in {{=<% %>=}}."),
    Code("ERR-RUN-102", "A section of the template is not opened and closed properly.", "Close each {{#name}} or {{^name}} with {{/name}}, inner sections first."),
    Code("ERR-RUN-103", "The template uses a partial, which would read a file.", "Write the text in place of the partial."),
    Code("ERR-RUN-104", "A section does not end in the quotes in which it began.", "Let the section hold whole words, or the whole inside of a quoted text."),
    Code("ERR-RUN-105", "A value would stand after one that is inserted raw.", "Put the raw value last, or use {{name}} in place of {{{name}}}: a raw value can open or close quotes."),
    Code("ERR-RUN-106", "A value would stand in a here-document, where it cannot be quoted.", "Use `printf '%s\\n' {{name}} | command`, or read $JOB_ITEM_DATA_NAME."),
    Code("ERR-RUN-107", "A value would stand in $'...' or $\"...\", which not every shell reads alike.", "Use '...' or \"...\" around the value."),
    Code("ERR-RUN-108", "A value would name the command that is run, or a function or variable.", "Write the name out; choose between several with `case {{name}} in ...`."),
    Code("ERR-RUN-109", "A value would be evaluated as code by the command that gets it.", 'Read it from the environment in that code, as "$JOB_ITEM_DATA_NAME", or give it as an argument after the code: sh -c \'echo "$1"\' sh {{name}}.'),
    Code("ERR-RUN-110", "A value would be taken as the name of a variable, where a shell evaluates subscripts.", "Write the name out and use the value after `=`, or as the file of a redirection."),
    Code("ERR-RUN-111", "A value would stand within the name, the pattern or the offset of an expansion.", 'Put the value into a variable of its own first: v={{name}}; then "${x%"$v"}".'),
    Code("ERR-RUN-112", "A value would follow a backslash or a dollar sign.", "Put the sign into single quotes, or remove it."),
    Code("ERR-RUN-113", "The template cannot be quoted for this shell.", "Use bash, sh, dash, ash or ksh as `shell`, or write the command as a list."),
    Code("ERR-RUN-114", "The shell text before a value cannot be followed.", "Write it more plainly, put the value into a variable at the beginning (v={{name}}), or read $JOB_ITEM_DATA_NAME."),
    Code("ERR-RUN-115", "A value would say which descriptor a redirection copies.", "Write the number of the descriptor out."),
    Code("ERR-RUN-116", "A second interpreter reads the value.", "Let it read $JOB_ITEM_DATA_NAME from its environment, or give the value as an argument after the program or code."),
    Code("ERR-RUN-117", "A value may be read as an option.", "Put `--` before it, or text such as ./ or name= directly before the tag."),
    Code("ERR-RUN-118", "The job renders its template as the Go worker did, without quoting.", "Use `render: safe` unless every sender is trusted."),
    Code("ERR-RUN-120", "A value in arithmetic or a subscript is not a decimal integer.", "Send an integer (no leading zeros, at most 64 bits)."),
    Code("ERR-RUN-121", "A value cannot be an argument of a command.", "Send text without NUL characters and without lone surrogates; JOB_ITEM_DATA_OMITTED and the task file name the others."),
    Code("ERR-RUN-122", "A value begins with `-` where the command would take it as an option that evaluates it.", "Send another value, or change the command to printf '%s' {{name}}."),
    # REP: reports
    Code("ERR-REP-001", "A variable that a job's script needs is not set.", "A node sets it for its jobs; elsewhere export it first."),
    Code("ERR-REP-002", "The address that a job's script was given is none.", "Write a whole address that begins with http:// or https://."),
    Code("ERR-REP-003", "A server refuses what a job's script sent.", "Look at the reason that it gives; the same again would be refused again."),
    Code("ERR-REP-004", "What a job's script sent could not be delivered.", "Check that the server runs and can be reached from here; then send it again."),
    Code("ERR-REP-005", "The certificate of a server is not trusted, or the certificates to trust cannot be read.", "Name the file of your certificate authority in REQUESTS_CA_BUNDLE or SSL_CERT_FILE (and in pass_env, so that jobs see it)."),
    Code("ERR-REP-006", "A file cannot be sent.", "Name a regular file that you may read; pack a directory first, and write what comes through a pipe to a file."),
    Code("ERR-REP-007", "A file changed while it was being sent.", "Send it when nobody writes to it any more, or send a copy."),
    Code("ERR-REP-008", "The task file of a job cannot be read.", "Read it in the directory in which the job was started, while the job runs."),
    Code("ERR-REP-009", "A result cannot be written as JSON.", "Use texts, finite numbers, truth values, None, lists and dicts with texts as keys."),
    Code("ERR-REP-010", "A server took a file, but its answer is not understood.", "Look whether the file has arrived; check that JOB_MANAGER_UPLOAD_FILE is the address of a Job Manager."),
    Code("ERR-REP-011", "The exit code of the producer cannot be read.", "Write it before the pipe ends, as in `{ command && echo 0 >FILE || echo $? >FILE; } | job_item save --status FILE`."),
    Code("ERR-REP-012", "What came in could not be shown or kept in full.", "Make room on the disk that standard output or the folder for temporary files (TMPDIR) is on."),
    # STO: storage
    Code("ERR-STO-001", "The journal of the node cannot be written or read for the moment.", "Make room on the disk that holds the state folder, or let the node's user write there; the node goes on by itself."),
    Code("ERR-STO-002", "The journal of the node cannot be opened.", "Check the permissions of the state folder; if the file is damaged, stop the node, move journal.sqlite away and start again with an empty one."),
    Code("ERR-STO-003", "The journal was written by a newer version of this program.", "Install that version again, or set another state_dir."),
    Code("ERR-STO-004", "The journal has failed inside (a bug, or a damaged file).", "The job child is replaced; please report the trace in the log."),
    Code("ERR-STO-005", "The journal is closed.", "The node is stopping; try again when it is back."),
    Code("ERR-STO-006", "JOB_ITEM_FAULT names no fault point.", "Unset it; it is for tests that kill the node at chosen places."),
    Code("ERR-STO-007", "The output of an old job cannot be removed.", "Look at the file that the line names, and remove it by hand."),
    # EXE: background commands
    Code("ERR-EXE-001", "A background command could not be started.", "Check `cmd` and `working_dir` of the exec."),
    Code("ERR-EXE-002", "A background command failed.", "Look at its output in the folder `execs` of the state folder."),
    Code("ERR-EXE-003", "A background command failed too often and is given up.", "Mend the command, then start it with `job_item execs start KEY`; `attempt` says how many tries it gets."),
    Code("ERR-EXE-004", "A background command with cascade_exit is down; the node stops.", "Mend the command, or remove `cascade_exit`."),
    Code("ERR-EXE-011", "There is no background command with this key.", "Look at `job_item execs` for the keys that there are."),
    Code("ERR-EXE-012", "A background command cannot do what it was ordered to in the state that it is in.", "Look at its state and reason in `job_item execs`."),
    Code("ERR-EXE-013", "A background command is unhealthy and is ended.", "Look at its output and at the reason that the line gives; `restart` says what follows."),
    # API: the local HTTP API
    Code("ERR-API-001", "There is no such page.", "Look at /docs for what the API offers."),
    Code("ERR-API-002", "The page does not know this method.", "Use a method that the header Allow of the answer names."),
    Code("ERR-API-003", "The request names a host that is not this node.", "Use http://127.0.0.1:<port>, or set api.host."),
    Code("ERR-API-004", "The request comes from a foreign web page.", "Only pages of this node may use its API."),
    Code("ERR-API-005", "The token of this node is needed.", "Send `Authorization: Bearer <token>`, or ask for /t/<token>/..."),
    Code("ERR-API-006", "The body of the request is too large.", "Put large input into a file, and its name into the job."),
    Code("ERR-API-007", "A parameter is not acceptable.", "Look at /docs for what the page takes."),
    Code("ERR-API-008", "There is nothing in this range.", "Ask for a range within the size that Content-Range tells."),
    Code("ERR-API-009", "The job has no such attempt.", "Look at `attempts` of the job."),
    Code("ERR-API-010", "The notification is too long.", "Send at most 102400 bytes of UTF-8; split longer texts."),
    Code("ERR-API-011", "The node failed to answer the request.", "Look at the log of the node; try again."),
    Code("ERR-API-012", "Too many connections are open.", "Close some, or try again later."),
    Code("ERR-API-013", "The request did not come in time.", "Send it without long pauses."),
    Code("ERR-API-014", "The head of the request is too large.", "Send fewer or shorter headers."),
    Code("ERR-API-015", "The request is no HTTP.", "Speak plain HTTP/1.1 to this port, not TLS."),
    Code("ERR-API-016", "The new settings have faults; the old ones stay in force.", "Correct what `faults` lists; `job_item check` shows it with remedies."),
    # HST: the host
    Code("ERR-HST-001", "What this machine has cannot be found out.", "Look at the message; jobs are not touched by it.", was="ERR-30350903208"),
    Code("ERR-HST-002", "The identity of the node cannot be kept.", "Let the node's user read and write the file `identity` in the state folder, or set identity_id or WORKER_ID."),
    Code("ERR-HST-003", "A process or thread of the node failed in a way that it should not (a bug).", "The node replaces what can be replaced; please report the trace in this line."),
    Code("ERR-HST-004", "A library that the node uses reports an error.", "Look at the message in this line."),
    Code("ERR-HST-005", "Traces are asked for, but cannot be sent.", "Install what is missing (pip install 'job_item[otel]'), or correct or unset the OTEL_* variables; jobs are not touched by it."),
    # HST 100-149: what `doctor` finds
    Code("ERR-HST-100", "Something of the machine could not be looked at.", "Look at the reason; where nothing answers in time, a disk or network mount may be dead."),
    Code("ERR-HST-101", "Processes that a job detaches are not found for certain.", "Run the node on Linux without JOB_ITEM_PORTABLE=1; a job's process group is ended all the same."),
    Code("ERR-HST-102", "The system has no descriptors for processes.", "Use Linux 5.3 or newer without JOB_ITEM_PORTABLE=1; the node works without, in a weaker way."),
    Code("ERR-HST-103", "Jobs cannot be put into cgroups here.", "Use a system with cgroup version 2 and delegate a part of it to the node's user (systemd: Delegate=yes); the node works without."),
    Code("ERR-HST-104", "There may be too few processes for all jobs.", "Raise the limit that is named (TasksMax=, LimitNPROC=, sysctl kernel.pid_max), or lower limits.concurrency."),
    Code("ERR-HST-105", "What is written to the state folder may not survive, or takes long.", "Set state_dir to a folder on a local disk."),
    Code("ERR-HST-106", "Task files cannot be told from other files for certain.", "Set work_dir to a folder on a local file system such as ext4, xfs or btrfs; the node works without."),
    Code("ERR-HST-107", "There is little room left on a disk.", "Make room, lower `keep`, or move state_dir or work_dir to another disk."),
    Code("ERR-HST-108", "Few more files can be made on a disk.", "Remove files that nobody needs, lower `keep.jobs`, or move state_dir or work_dir to another disk."),
    Code("ERR-HST-109", "The clock of this machine may be wrong.", "Set it, and let a time server keep it (chrony, systemd-timesyncd); durations are not touched by it, moments in records are."),
    Code("ERR-HST-110", "The clock by which durations are measured is wrong.", "Restart the machine, or choose another clock source; time-outs cannot be relied on."),
    Code("ERR-HST-111", "Files can hardly be watched here.", "Raise fs.inotify.max_user_instances and fs.inotify.max_user_watches (sysctl); `job_item reload` works without."),
    Code("ERR-HST-112", "The node has more rights than it needs.", "Run it as a user of its own; jobs run as the same user."),
    # UPD: updates
    Code("ERR-UPD-001", "An update cannot be fetched or applied.", "The running version stays in use; look at the message.", was="ERR-25230903100"),
)
# fmt: on

REGISTER: Mapping[str, Code] = MappingProxyType({entry.code: entry for entry in _ENTRIES})
"""All codes by their name."""
