// What a conversation is after any stream of its events. Returns what is wrong.
async () => {
  const { applyEvent, newConversation, resumeFrom, withoutDrafts } = await import("/assets/js/chat/conversation.js");
  const { send, sent } = await import("/assets/js/chat/outbox.js");
  const { openAtEnd } = await import("/assets/js/chat/history.js");
  const { turnReader } = await import("/assets/js/chat/turns.js");
  const wrong = [];
  const check = (what, ok) => ok || wrong.push(what);
  let seed = 1;
  const random = (below) => {
    seed = (seed * 1103515245 + 12345) & 0x7fffffff;
    return (seed >> 8) % below;
  };

  const NOW = new Date().toISOString();
  const message = (id, role, seq, content, more = {}) => ({
    id, role, seq, content, run_id: "r1", user_id: role === "user" ? "ada" : null, status: "completed",
    parts: [{ type: "text", text: content }], created_at: NOW, ...more,
  });
  const run = (status, more = {}) => ({ id: "r1", status, created_at: NOW, usage: null, cost: null, notices: [], error: null, stop_reason: null, ...more });

  /** A text as deltas from a place on: any cut, and some code points of two units. */
  function deltas(row, id, text, from = 0) {
    const points = [...text];
    const events = [];
    for (let at = from; at < points.length; ) {
      const end = Math.min(points.length, at + 1 + random(5));
      events.push({ id: `${row}-${1 + end}`, type: "message.delta", run_id: "r1", message_id: id, text: points.slice(at, end).join(""), offset: at });
      at = end;
    }
    return events;
  }
  const TEXT = "The 🌊 rises, and 👩‍🚀 sees it: é, ß, 你好.";
  const CALL = { type: "tool_call", tool_call_id: "c1", name: "calculator", arguments: { expression: "6*7" } };
  const rows = {
    started: { id: "2-0", type: "run.started", run_id: "r1", attempt: 1, user_message: message("m1", "user", 2, "Hi") },
    void: [{ id: "2-1", type: "message.started", run_id: "r1", message_id: "m2", role: "assistant" }, ...deltas(2, "m2", "This comes to nothing")],
    retrying: { id: "3-0", type: "run.retrying", run_id: "r1", attempt: 2, reason: "cut", discard: ["m2"] },
    calls: { id: "4-0", type: "message.completed", run_id: "r1", message: message("m3", "assistant", 4, "", { parts: [CALL] }) },
    tool: { id: "5-0", type: "tool.started", run_id: "r1", ...CALL },
    result: { id: "6-0", type: "tool.completed", run_id: "r1", tool_call_id: "c1", name: "calculator", result: 42, is_error: false },
    titled: { id: "7-9", type: "thread.updated", thread: { title: "The sea" } },
    said: { id: "8-0", type: "message.completed", run_id: "r1", message: message("m4", "assistant", 8, TEXT) },
    over: { id: "9-0", type: "run.completed", run_id: "r1", run: run("completed") },
  };
  const begun = [{ id: "6-1", type: "message.started", run_id: "r1", message_id: "m4", role: "assistant" }];
  const whole = [rows.started, ...rows.void, rows.retrying, rows.calls, rows.tool, rows.result, ...begun, ...deltas(6, "m4", TEXT), rows.titled, rows.said, rows.over];
  const told = (state) => JSON.stringify([state.messages, state.drafts, state.thread, state.row, state.runs.r1?.status, state.calls.c1?.result, state.missing]);
  const start = newConversation("t1", "ada");
  const wanted = told(whole.reduce(applyEvent, start));
  check("a whole stream ends with all messages and no draft", wanted.includes("The sea") && wanted.includes(TEXT) && !wanted.includes("nothing"));

  // Any stream that is told again from any earlier event, with other cuts, any number of times.
  for (let turn = 0; turn < 120; turn += 1) {
    let state = start;
    for (let at = 0; at < whole.length; at += 1) {
      state = applyEvent(state, whole[at]);
      if (random(6) === 0) {
        const again = random(at + 1);
        const cut = whole.slice(again, at + 1).flatMap((event) => (event.message_id === "m4" && event.type === "message.delta" ? deltas(6, "m4", [...TEXT].slice(0, event.offset + [...event.text].length).join("")) : [event]));
        state = cut.reduce(applyEvent, state);
      }
    }
    check(`told again, turn ${turn}`, told(state) === wanted);
  }

  // A piece that is missing is noticed; what is read again from there makes it whole.
  let holed = [rows.started, ...begun.map((event) => ({ ...event, id: "2-1" })), ...deltas(2, "m4", TEXT).filter((_, at) => at !== 2)].reduce(applyEvent, start);
  check("a missing piece is noticed", holed.missing && resumeFrom(holed) === "2-0");
  holed = [...deltas(2, "m4", TEXT)].reduce(applyEvent, withoutDrafts(holed));
  check("what is read again is whole", holed.drafts[0].text === TEXT && !holed.missing);

  // Ends.
  const partial = [rows.started, ...deltas(2, "m9", "Half")];
  const failed = [...partial, { id: "3-0", type: "run.failed", run_id: "r1", run: run("failed"), discard: ["m9"], problem: { code: "provider_error", detail: "It broke." } }].reduce(applyEvent, start);
  check("a failure drops what was only streamed", failed.drafts.length === 0 && failed.runs.r1.error.code === "provider_error");
  const late = applyEvent(failed, { ...deltas(2, "m9", "Half")[0] });
  check("a late piece of a void message is no draft", late.drafts.length === 0);
  const stopped = [...partial, { id: "3-0", type: "message.completed", run_id: "r1", message: message("m9", "assistant", 3, "Half", { status: "incomplete" }) }, { id: "4-0", type: "run.cancelled", run_id: "r1", run: run("cancelled"), discard: [] }].reduce(applyEvent, start);
  check("a stopped answer keeps its text", stopped.messages[1].status === "incomplete" && stopped.drafts.length === 0);

  // Approvals.
  const waiting = [rows.started, { ...rows.calls, id: "3-0" }, { id: "4-0", type: "run.waiting", run_id: "r1", approvals: [{ tool_call_id: "c1", name: "calculator", arguments: {}, expires_at: null }], client_calls: [] }].reduce(applyEvent, start);
  check("a call waits for a person", waiting.runs.r1.status === "waiting" && waiting.calls.c1.state === "approval");
  const refused = applyEvent(waiting, { id: "5-0", type: "tool.completed", run_id: "r1", tool_call_id: "c1", name: "calculator", result: "no", is_error: true });
  check("a refused call waits no longer", refused.calls.c1.state === "done" && refused.runs.r1.approvals.length === 0);

  // A retry.
  const base = whole.reduce(applyEvent, start);
  const retried = applyEvent(base, { id: "10-0", type: "run.started", run_id: "r2", attempt: 1, user_message: { ...rows.started.user_message, run_id: "r2" }, superseded: ["m3", "m4"] });
  check("a retried answer is superseded, its message stays in its place", retried.messages[0].run_id === "r2" && retried.messages.slice(1).every((each) => each.superseded));
  check("a row that is told again does not revive it", whole.reduce((state, event) => applyEvent(state, event), { ...retried, row: 0 }).messages.every((each) => each.role === "user" || each.superseded));

  // What was sent from here.
  const entry = { key: "k1", text: "Hi", files: [], mode: "queue" };
  const outbox = (state) => state.outbox.length;
  check("it is resolved by its row", outbox(applyEvent(send(start, entry), rows.started)) === 0);
  check("it waits while it is queued", outbox(applyEvent(sent(send(start, entry), "k1", run("queued")), { id: "1-0", type: "run.queued", run_id: "r1", position: 1 })) === 1);
  const redacted = { ...rows.started, user_message: message("m1", "user", 2, "[redacted]") };
  check("a row before its answer", outbox(sent(applyEvent(send(start, entry), redacted), "k1", run("running"))) === 0);
  check("others' messages do not resolve it", outbox(applyEvent(send(start, entry), { ...rows.started, user_message: message("m1", "user", 2, "Hi", { user_id: "bob" }) })) === 1);

  // A page opened in the middle, and the stream from there.
  const opened = openAtEnd(start, { thread: { title: null }, messages: [message("m4", "assistant", 8, TEXT), message("m3", "assistant", 4, "", { parts: [CALL] }), message("m1", "user", 2, "Hi")], runs: [run("completed")], hasOlder: false });
  check("it is followed from the last thing that was asked", resumeFrom(opened) === "1-0");
  check("history and stream agree", told(whole.reduce(applyEvent, opened)) === wanted);
  const begins = (status, more, options) => resumeFrom(openAtEnd(start, { thread: { title: null }, messages: [message("m3", "assistant", 4, TEXT, more), message("m1", "user", 2, "Hi")], runs: [run(status)], hasOlder: false, ...options }));
  const old = { created_at: "2026-01-31T12:00:00Z" };
  check("an old one is followed from its end, since events may be gone", begins("completed", old) === "4-0" && begins("completed", {}, { isGone: true }) === "4-0");
  check("but not while its run goes on", begins("waiting", old) === "1-0" && begins("running", {}, { isGone: true }) === "1-0");

  // The same key for an answer from its wait to its end: it is drawn on, not anew.
  const reader = turnReader();
  const keys = new Set();
  let state = start;
  for (const event of whole.slice(0, 1).concat(whole.slice(1 + rows.void.length))) {
    state = applyEvent(state, event);
    for (const turn of reader(state)) if (turn.kind === "answer") keys.add(turn.key);
  }
  check(`one answer is one turn (${[...keys]})`, keys.size === 1);
  return wrong;
}
