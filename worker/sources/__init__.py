"""Where jobs come from, beside the local API."""
