"""The service's memory: documents by session, which expire when their user has gone, and accounts,
which stay."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass, field

from work import Document

DOCUMENTS_PER_SESSION = 12
SWEEP_SECONDS = 0.1
# A user makes a request every 100 ms or so while the burst lasts: no session expires in it.
IDLE_SECONDS = (1.0, 1.2)


@dataclass
class Session:
    """One user's documents, oldest first."""

    idle_seconds: float
    last_seen: float = 0.0
    documents: OrderedDict[str, Document] = field(default_factory=OrderedDict)

    def add(self, document: Document) -> None:
        """Keeps a document; the oldest makes room."""
        self.documents[document.name] = document
        while len(self.documents) > DOCUMENTS_PER_SESSION:
            self.documents.popitem(last=False)


class Sessions:
    """All sessions. Used from the event loop only."""

    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}
        self.accounts: dict[str, dict[str, object]] = {}

    def of(self, user: str) -> Session:
        """The user's session, which begins with the first request."""
        session = self._sessions.get(user)
        if session is None:
            low, high = IDLE_SECONDS
            share = (sum(user.encode()) % 16) / 15
            session = self._sessions[user] = Session(idle_seconds=low + (high - low) * share)
        session.last_seen = time.monotonic()
        return session

    def sweep(self) -> int:
        """Drops the sessions that have expired; returns how many are left."""
        now = time.monotonic()
        for user, session in list(self._sessions.items()):
            if now - session.last_seen > session.idle_seconds:
                del self._sessions[user]
        return len(self._sessions)

    async def sweep_for_ever(self) -> None:
        """The background task that expires sessions."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self.sweep()
