"""Agents as the models of OpenAI's API: by id, or by name where one agent alone has it."""

from ai_agents.core.exceptions import AgentNotFound
from ai_agents.core.ids import is_id, seconds_of_id
from ai_agents.core.rows import AgentSummary
from ai_agents.core.types import JsonObject
from app.container import Container
from app.doors.openai_errors import AmbiguousModel, ModelNotFound
from app.doors.threads import require_agent
from app.services.identity import Principal, whose

_PAGE = 100
# A list of models has no pages; more agents are found by their ids all the same.
MAX_MODELS = 1_000


async def find_agent(container: Container, user: Principal, model: str) -> str:
    """The id of the agent that the user means by this model. Raises `ModelNotFound`, `AmbiguousModel`.

    A name is looked for among the agents that are listed for the user: what others share unasked takes no name.
    """
    if is_id(model):
        try:
            await require_agent(container, user, model)
            return model
        except AgentNotFound:
            raise ModelNotFound from None
    named = await container.agents.list(await whose(container, user, "agent"), within=user.within, name=model, limit=2)
    if not named["data"]:
        raise ModelNotFound
    if len(named["data"]) > 1:
        raise AmbiguousModel(loc=("model",))
    return named["data"][0]["id"]


async def get_model(container: Container, user: Principal, model: str) -> JsonObject:
    """The model. Raises `ModelNotFound`, `AmbiguousModel`."""
    agent_id = await find_agent(container, user, model)
    agent = await container.agents.find(agent_id)
    if agent is None:
        raise ModelNotFound
    return _to_model({"id": agent["id"], "name": agent["name"], "description": agent["description"]})


async def list_models(container: Container, user: Principal) -> JsonObject:
    """The newest agents that are listed for the user, as models."""
    owner, found, after = await whose(container, user, "agent"), list[AgentSummary](), None
    while len(found) < MAX_MODELS:
        page = await container.agents.list(owner, within=user.within, limit=_PAGE, after=after)
        found += page["data"]
        after = page["next"]
        if after is None:
            break
    return {"object": "list", "data": [_to_model(agent) for agent in found]}


def _to_model(agent: AgentSummary) -> JsonObject:
    return {
        "id": agent["id"],
        "object": "model",
        "created": seconds_of_id(agent["id"]),
        "owned_by": "ai-agents",
        "name": agent["name"],
        "description": agent["description"],
    }
