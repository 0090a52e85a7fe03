"""A stand-in of the ReefGuide web API, to the letter of protocol reefguide.md, with faults that tests switch on."""

from tests.reefguide.faults import Faults
from tests.reefguide.server import StandIn
from tests.reefguide.store import PASSWORD, USER, Store

__all__ = ["PASSWORD", "USER", "Faults", "StandIn", "Store"]
