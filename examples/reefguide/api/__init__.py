"""A stand-in of the ReefGuide web API, to the letter of protocol reefguide.md, with faults that tests switch on."""

from examples.reefguide.api.faults import Faults
from examples.reefguide.api.server import StandIn
from examples.reefguide.api.store import PASSWORD, USER, Store

__all__ = ["PASSWORD", "USER", "Faults", "StandIn", "Store"]
