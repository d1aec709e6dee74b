"""Calls about principals and the keys that they sign with."""

from collections.abc import AsyncIterator

from busbar.messages.identity import EraseSubject, RegisterKey, RevokeKey
from busbar.messages.principals import PrincipalView
from busbar.sdk import events
from busbar.sdk.calls import Calls
from busbar.sdk.reading import PAGE, present, segment, typed
from busbar.sdk.receipt import Receipt


class PrincipalCalls(Calls):
    """Calls about principals and keys."""

    def principals(self) -> AsyncIterator[PrincipalView]:
        """Iterate over principals by name, those that were removed included."""
        return self._pages("/v1/principals", PrincipalView, present(limit=PAGE))

    async def principal(self, principal: str) -> PrincipalView:
        """Return a principal; a :class:`GatewayProblem` with status 404 if there is none."""
        answer = await self._get(f"/v1/principals/{segment(principal)}")
        return typed(PrincipalView, answer.body)

    async def register_key(
        self,
        principal: str,
        public_key: str,
        *,
        event_id: str | None = None,
        key: str | None = None,
    ) -> Receipt:
        """Publish the intent to let ``principal`` sign with one more key.

        ``public_key`` is the text of the public half: ``SigningKey.generate().public.text``.
        """
        data = {"principal": principal, "public_key": public_key}
        return await self.send(events.intent_of(RegisterKey, data), event_id=event_id, key=key)

    async def revoke_key(
        self, key_id: str, *, reason: str, event_id: str | None = None, key: str | None = None
    ) -> Receipt:
        """Publish the intent to refuse from now on what is signed with the key ``key_id``."""
        intent = events.intent_of(RevokeKey, {"key": key_id, "reason": reason})
        return await self.send(intent, event_id=event_id, key=key)

    async def erase_subject(
        self, subject: str, *, event_id: str | None = None, key: str | None = None
    ) -> Receipt:
        """Publish the intent to make the personal data of ``subject`` unreadable, for good.

        ``subject`` is the text that names the person in specs, such as an e-mail address. It is
        replaced by a pseudonym before anything is stored.
        """
        intent = events.intent_of(EraseSubject, {"subject": subject})
        return await self.send(intent, event_id=event_id, key=key)
