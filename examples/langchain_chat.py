"""LangChain as a client: an agent of this service as its model, with a tool of one's own.

pip install langchain-openai
OPENAI_BASE_URL=http://127.0.0.1:8000/v1 OPENAI_API_KEY=<key> python langchain_chat.py <agent>
"""

import sys

from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI


@tool
def weather(town: str) -> str:
    """The weather of a town."""
    return f"Rain in {town}."


model = ChatOpenAI(model=sys.argv[1])
print("whole:", model.invoke([SystemMessage("Be brief."), HumanMessage("Hello!")]).content)
print("streamed:", "".join(str(chunk.content) for chunk in model.stream("Hello again!")))

with_tools = model.bind_tools([weather])
messages: list[BaseMessage] = [HumanMessage('/tool weather {"town": "Oslo"}')]
asked = with_tools.invoke(messages)
messages.append(asked)
for call in asked.tool_calls:
    messages.append(ToolMessage(weather.invoke(call["args"]), tool_call_id=call["id"]))
print("tool:", with_tools.invoke(messages).content)
