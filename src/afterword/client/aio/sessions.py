"""Sessions of interactions: listed, read as one transcript, deleted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, Unpack
from uuid import UUID

from afterword.client.core import Request, encode, path, query
from afterword.client.list_filters import PlainFilters, filter_query
from afterword.types import Deleted, Filter, Images, SessionPage, SessionTranscript, SessionTurn

if TYPE_CHECKING:
    from afterword.client.aio import AsyncAfterword


class AsyncSessions:
    """Sessions: `client.sessions`."""

    def __init__(self, client: AsyncAfterword) -> None:
        self._client = client

    async def list(
        self,
        *,
        project: str | None = None,
        min_turns: int | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        **filters: Unpack[PlainFilters],
    ) -> SessionPage:
        """Return a page of sessions, the newest activity first.

        A session is listed if one of its interactions matches all filters, which are those of `interactions.list`. Pass
        `next` of a page as `cursor` for the next one: a page may hold fewer sessions than `limit`, even none.

        >>> page = await client.sessions.list(min_turns=2, labels={"env": "prod"})
        >>> [(session.session or session.session_id, session.turn_count) for session in page.sessions]
        """
        pairs = filter_query(
            filters,
            project=self._client.project_or_default(project),
            min_turns=min_turns,
            limit=limit,
            cursor=cursor,
        )
        request = Request(method="GET", path=path("sessions"), query=pairs, repeatable=True)
        return await self._client.call(request, SessionPage)

    async def search(
        self,
        filter: Filter | Mapping[str, Any] | None = None,
        *,
        project: str | None = None,
        min_turns: int | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> SessionPage:
        """Return a page of sessions of which an interaction matches a filter tree; see `list`.

        >>> page = await client.sessions.search({"not": {"outcome": {"metric": "CSAT"}}}, min_turns=2)
        >>> [session.session_id for session in page.sessions]
        """
        body = {
            "project": self._client.project_or_default(project),
            "filter": filter,
            "min_turns": min_turns,
            "limit": limit,
            "cursor": cursor,
        }
        request = Request(method="POST", path=path("sessions", "search"), body=encode(body), repeatable=True)
        return await self._client.call(request, SessionPage)

    async def get(
        self,
        session_id: str | UUID,
        *,
        project: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        images: Images | None = None,
    ) -> SessionTranscript:
        """Return a session with a page of its turns, by its id or by what you named it. Raises `NotFound`.

        Each turn carries only the messages that are new against the turn before, and its completion.

        >>> session = await client.sessions.get(session_id)
        >>> [(turn.messages, turn.completion) for turn in session.turns]
        """
        pairs = query(project=self._client.project_or_default(project), limit=limit, cursor=cursor, images=images)
        request = Request(method="GET", path=path("sessions", str(session_id)), query=pairs, repeatable=True)
        return await self._client.call(request, SessionTranscript)

    async def turns(
        self, session_id: str | UUID, *, project: str | None = None, images: Images | None = None
    ) -> AsyncIterator[SessionTurn]:
        """Iterate over all turns of a session, page after page. Raises `NotFound`.

        >>> async for turn in client.sessions.turns(session_id):
        ...     print(turn.completion)
        """
        cursor = None
        while True:
            session = await self.get(session_id, project=project, cursor=cursor, images=images)
            for turn in session.turns:
                yield turn
            if session.next is None:
                return
            cursor = session.next

    async def delete(self, session_id: str | UUID, *, project: str | None = None) -> None:
        """Delete all interactions of a session, with their feedback, and its outcomes. Raises `NotFound`.

        >>> other = await client.interactions.create([{"role": "user", "content": "Hi!"}], "Hi!", session_id="chat-42")
        >>> await client.sessions.delete("chat-42")
        """
        pairs = query(project=self._client.project_or_default(project))
        request = Request(method="DELETE", path=path("sessions", str(session_id)), query=pairs)
        await self._client.call(request, Deleted)
