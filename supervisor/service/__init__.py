"""The node as a service of systemd: the text of its unit, and what puts it in place."""
