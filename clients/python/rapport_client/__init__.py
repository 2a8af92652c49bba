"""A client of Rapport, a chat backend that remembers its users. See README.md."""

from ._async import AsyncAnswer, AsyncRapport
from ._common import APIError, Disconnected, Event, Operation, RapportError
from ._sync import Answer, Rapport

__all__ = ["APIError", "Answer", "AsyncAnswer", "AsyncRapport", "Disconnected", "Event", "Operation", "Rapport", "RapportError"]
