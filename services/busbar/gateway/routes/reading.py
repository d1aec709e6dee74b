"""The views of the principal that sent the request: endpoints read through them."""

from typing import Annotated

from fastapi import Depends

from busbar.gateway.routes.auth import Caller
from busbar.gateway.routes.dependencies import Use
from busbar.gateway.routes.fact_pages import FactPages
from busbar.gateway.routes.views import Views


async def _views(caller: Caller, use: Use) -> Views:
    return Views(use.queries, caller)


Read = Annotated[Views, Depends(_views)]


async def _facts(views: Read, use: Use) -> FactPages:
    return FactPages(views, use.cipher)


ReadFacts = Annotated[FactPages, Depends(_facts)]
