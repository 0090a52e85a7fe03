"""Private broker servers for tests: real processes on free loopback ports, ended by pid."""
