// A React page with useChat: it comes back to an answer that is under way, and asks for approvals.
//
// npm install ai @ai-sdk/react react react-dom, and bundle it with what you like. Here the address has what it needs:
// ?url=http://127.0.0.1:8000&token=<of POST /tokens>&agent=<agent's id>&chat=<any text>
// Another origin than the service's has to stand in AI_AGENTS_CORS_ORIGINS.

import { useChat } from "@ai-sdk/react";
import { DefaultChatTransport, lastAssistantMessageIsCompleteWithApprovalResponses } from "ai";
import { createRoot } from "react-dom/client";

const asked = new URLSearchParams(location.search);
const api = `${asked.get("url")}/ai-sdk/threads`;
const id = asked.get("chat");
const headers = { Authorization: `Bearer ${asked.get("token")}` };

function Part({ part, answer }) {
  if (part.type === "text") return <span>{part.text}</span>;
  if (part.state === "approval-requested") {
    return <button onClick={() => answer({ id: part.approval.id, approved: true })}>Allow {part.toolName}</button>;
  }
  return part.type === "dynamic-tool" ? <code>{`${part.toolName}: ${part.output ?? part.state}`}</code> : null;
}

function Chat({ messages }) {
  const transport = new DefaultChatTransport({ api, headers, body: { agent_id: asked.get("agent") } });
  const sendAutomaticallyWhen = lastAssistantMessageIsCompleteWithApprovalResponses;
  const chat = useChat({ id, messages, resume: true, transport, sendAutomaticallyWhen });
  const send = (event) => {
    event.preventDefault();
    chat.sendMessage({ text: event.target.elements.said.value });
    event.target.reset();
  };
  return (
    <>
      {chat.messages.map((message) => (
        <p key={message.id} className={message.role}>
          {message.parts.map((part, at) => (
            <Part key={at} part={part} answer={chat.addToolApprovalResponse} />
          ))}
        </p>
      ))}
      <form onSubmit={send}>
        <input name="said" aria-label="Message" />
      </form>
      <output>{chat.error?.message ?? chat.status}</output>
      <button onClick={() => fetch(`${api}/${id}/stop`, { method: "POST", headers })}>Stop</button>
    </>
  );
}

const found = await fetch(`${api}/${id}/messages`, { headers });
const messages = found.ok ? (await found.json()).messages : [];
createRoot(document.getElementById("root")).render(<Chat messages={messages} />);
