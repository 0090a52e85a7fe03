"""Releases and updates: what a release says of itself, who vouches for it, and what a node makes of it.

`version`, `manifest`, `marker` and `decide` are pure; `keys` is the one place with `cryptography`, `fetch` the one that
asks a server. The process that guards a version imports `marker` and `shelf` alone, so these stay lean.
"""
