"""Nodes that poll the stand-in of the ReefGuide web API (`examples.reefguide.api`)."""
