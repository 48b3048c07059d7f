// `/approvals`: every call that waits for a person and on which one may decide.

import { html, useRef, useState } from "../../vendor/preact.js";
import { useFresh } from "../admin/fresh.js";
import { More } from "../admin/more.js";
import { PageHead } from "../admin/page_head.js";
import { usePages } from "../ui/loading.js";
import { Empty, Notice } from "../ui/states.js";
import { toast } from "../ui/toast.js";
import { Approval } from "./approval.js";

// Hints come in bursts, one for each step of a run.
const SOON_MS = 300;
const AT_ONCE = { limit: 100 };

const keyOf = ({ run_id, tool_call_id }) => `${run_id} ${tool_call_id}`;

export default function ApprovalsView() {
  const pages = usePages("/approvals", AT_ONCE);
  const [decided, setDecided] = useState(() => new Set());
  const list = useRef(null);
  const shown = pages.items.filter((item) => !decided.has(keyOf(item)));
  const isListed = (id) => pages.items.some((item) => item.thread.id === id);
  useFresh(pages.reload, {
    soonMs: SOON_MS,
    matters: ({ type, thread, thread_id: gone }) => type === "feed.open" || isListed(gone ?? thread?.id) || thread?.waiting === true,
  });

  const onDecided = (approval, words) => {
    const at = shown.indexOf(approval);
    setDecided((before) => new Set(before).add(keyOf(approval)));
    toast(words);
    // The next call takes the place of the one that went, for the keyboard too.
    requestAnimationFrame(() => {
      const titles = list.current?.querySelectorAll(".approval-card-title") ?? [];
      (titles[Math.min(at, titles.length - 1)] ?? document.querySelector("#approvals-title"))?.focus();
    });
  };

  const isFirst = pages.loading && pages.items.length === 0;
  return html`<div class="page page-narrow">
    <${PageHead} id="approvals-title" title="Approvals" text="Calls of tools that wait until a person has decided on them. The newest comes first." />
    ${pages.problem && html`<${Notice} problem=${pages.problem} action=${{ label: "Try again", onClick: pages.reload }} />`}
    <div class="visually-hidden" role="status">${isFirst ? "" : shown.length === 0 ? "No calls wait." : shown.length === 1 ? "1 call waits." : `${shown.length} calls wait.`}</div>
    ${shown.length > 0 && html`<ul class="cards" role="list" ref=${list}>
      ${shown.map((item) => html`<li key=${keyOf(item)}><${Approval} approval=${item} onDecided=${onDecided} onPassed=${pages.reload} /></li>`)}
    </ul>`}
    ${shown.length === 0 && !isFirst && !pages.problem && html`<${Empty} icon="circle-check" title="Nothing waits for you"
      text="When an agent asks before it calls a tool, the call stands here." />`}
    <${More} pages=${pages} />
  </div>`;
}
