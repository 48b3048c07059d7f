"""Messages that a search found."""

from typing import Annotated

from pydantic import Field, create_model

from ai_agents.core import search_rows
from app.schemas.answers.messages import MessageRead
from app.schemas.answers.models import model_of, page_of

model_of(
    "Snippet",
    search_rows.Snippet,
    "A piece of the message's text.",
    marks=Annotated[
        list[Annotated[list[int], Field(min_length=2, max_length=2)]],
        Field(description="Where it has what was asked for: `[start, end]`, in Unicode code points."),
    ],
)
model_of("ThreadName", search_rows.ThreadName)
SearchHitRead = model_of("SearchHit", search_rows.SearchHit, message=MessageRead)
SearchPageRead = create_model(
    "SearchPage",
    __base__=page_of("SearchPage", SearchHitRead, "Messages that were found, best first."),
    __doc__="Messages that were found, best first.",
    incomplete=(
        bool | None,
        Field(
            None,
            description="True where older messages were not searched: after an update, or of very many.",
        ),
    ),
)
