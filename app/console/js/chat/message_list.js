// The conversation as a list that scrolls: it begins at its end, stays there while it grows if one is there, and loads
// what was before as one goes up.

import { Component, html, useEffect, useLayoutEffect, useRef, useState } from "../../vendor/preact.js";
import { Button } from "../ui/button.js";
import { Icon } from "../ui/icon.js";
import { Spinner } from "../ui/states.js";
import { AnswerTurn, UserTurn } from "./turn.js";
import { grouped } from "./turns.js";

const NEAR_END_PX = 64;
// Over more windows than that one does not want to travel.
const FAR = 4;
const CALM = matchMedia("(prefers-reduced-motion: reduce)");
const AHEAD = "1200px 0px";

function Gap({ id, onSeen }) {
  const place = useSeen(onSeen, id);
  return html`<div class="gap" ref=${place}><${Button} size="small" kind="quiet" icon="ellipsis" onClick=${onSeen}>Show what is between<//></div>`;
}

/** A ref to an element; `onSeen` is called when it is near the window, and once more where it still is when `again` changes. */
function useSeen(onSeen, again) {
  const place = useRef(null);
  const act = useRef(onSeen);
  act.current = onSeen;
  useEffect(() => {
    const root = place.current.closest(".messages");
    const observer = new IntersectionObserver((seen) => seen.some((each) => each.isIntersecting) && act.current(), { root, rootMargin: AHEAD });
    observer.observe(place.current);
    return () => observer.disconnect();
  }, [again]);
  return place;
}

function Older({ loading, first, onSeen }) {
  const place = useSeen(onSeen, `${first} ${loading}`);
  return html`<div class="older" ref=${place}>${loading && html`<${Spinner} label="Loading what was before" />`}</div>`;
}

class Group extends Component {
  shouldComponentUpdate(next) {
    const { entries } = this.props;
    const changed = next.entries.length !== entries.length || next.entries.some((entry, index) => entry !== entries[index]);
    return changed || ["named", "marked", "lastKey", "compacted", "rights"].some((name) => next[name] !== this.props[name]);
  }

  render({ entries, named, marked, lastKey, compacted, rights, thread }) {
    const isMarked = (entry) => marked && (entry.message?.id === marked || entry.messages?.some((message) => message.id === marked));
    // One flat list: what stands in a list of its own has no key, and would be made anew when others come before it.
    return entries.flatMap((entry) => {
      const summary = compacted && entry.key === compacted.before && html`<details key="summary" class="summary"><summary><${Icon} name="layers" size="small" />What is above is summarized for the model<${Icon} name="chevron-down" size="small" /></summary><p dir="auto">${compacted.summary}</p></details>`;
      let turn;
      if (entry.kind === "gap") turn = html`<${Gap} key="gap" id=${entry.facts[1]} onSeen=${() => thread.loadGap()} />`;
      else if (entry.kind === "user") turn = html`<${UserTurn} key=${entry.key} message=${entry.message} named=${named} marked=${isMarked(entry)} rights=${rights} thread=${thread} />`;
      else turn = html`<${AnswerTurn} key=${entry.key} entry=${entry} isLast=${entry.key === lastKey} marked=${isMarked(entry)} rights=${rights} thread=${thread} />`;
      return summary ? [summary, turn] : [turn];
    });
  }
}

/** Where the summary's line stands: before the first entry that is not covered. */
function compactedBefore(compacted, entries) {
  if (!compacted) return null;
  const first = entries.find((entry) => entry.seq > compacted.covers_through_seq);
  return first && first !== entries[0] ? { ...compacted, before: first.key } : null;
}

export function MessageList({ entries, conversation, loading, named, marked, lastKey, rights, thread, control, children }) {
  const box = useRef(null);
  const inner = useRef(null);
  const stuck = useRef(!marked);
  const [away, setAway] = useState(false);
  const [fresh, setFresh] = useState(false);
  const before = useRef({});
  const summary = useRef(null);

  const toEnd = (smooth) => {
    stuck.current = true;
    setFresh(false);
    const { scrollTop, scrollHeight, clientHeight } = box.current;
    const near = scrollHeight - scrollTop < FAR * clientHeight && !CALM.matches;
    box.current.scrollTo({ top: scrollHeight, behavior: smooth && near ? "smooth" : "auto" });
  };
  if (control) control.current = { toEnd };

  const onScroll = () => {
    const { scrollTop, scrollHeight, clientHeight } = box.current;
    const distance = scrollHeight - scrollTop - clientHeight;
    // Growing text moves the end away before it is scrolled to; only going up leaves the end.
    if (distance < NEAR_END_PX) stuck.current = true;
    else if (scrollTop < (before.current.top ?? 0)) stuck.current = false;
    before.current.top = scrollTop;
    before.current.height = scrollHeight;
    setAway(!stuck.current);
    if (stuck.current) setFresh(false);
  };

  useLayoutEffect(() => {
    const keep = () => {
      before.current.height = box.current.scrollHeight;
      if (stuck.current) box.current.scrollTop = box.current.scrollHeight;
    };
    keep();
    const observer = new ResizeObserver(keep);
    observer.observe(inner.current);
    observer.observe(box.current);
    return () => observer.disconnect();
  }, []);

  // What comes at the top must not move what one reads; the browser sees to it, but not at the very top.
  const first = entries[0]?.key;
  const last = entries.at(-1);
  useLayoutEffect(() => {
    const { key, height } = before.current;
    if (key && key !== first && box.current.scrollTop < 2 && !stuck.current) box.current.scrollTop += box.current.scrollHeight - height;
    before.current.key = first;
  }, [first]);
  const newest = `${last?.key} ${last?.messages?.length} ${last?.drafts?.at(-1)?.points}`;
  useEffect(() => {
    if (!stuck.current) setFresh(true);
  }, [newest]);
  const shown = useRef(null);
  useEffect(() => {
    const place = marked && shown.current !== marked && inner.current.querySelector(`[data-message="${CSS.escape(marked)}"]`);
    if (!place) return;
    shown.current = marked;
    stuck.current = false;
    place.scrollIntoView({ block: "center" });
    setAway(true);
    setFresh(false);
  }, [marked, entries]);

  const compacted = compactedBefore(conversation.compacted, entries);
  if (JSON.stringify(compacted) !== JSON.stringify(summary.current)) summary.current = compacted;
  return html`<div class="messages-frame">
    <div class="messages" ref=${box} onScroll=${onScroll} tabindex="0" role="region" aria-label="Conversation">
      <div class="messages-inner" ref=${inner}>
        ${conversation.hasOlder && html`<${Older} loading=${loading === "older"} first=${first} onSeen=${() => thread.loadOlder()} />`}
        ${grouped(entries).map((group) => html`<${Group} key=${group.key} entries=${group.entries} named=${named} marked=${marked} lastKey=${group.entries.some((entry) => entry.key === lastKey) ? lastKey : null} compacted=${summary.current} rights=${rights} thread=${thread} />`)}
        ${children}
      </div>
    </div>
    ${away && html`<div class="to-end"><${Button} size="small" icon="arrow-down" onClick=${() => toEnd(true)}>${fresh ? "New messages" : "To the end"}<//></div>`}
  </div>`;
}
