"""The execs child: keeps background commands alive."""
