// `/approvals`: every call that waits for a person and on which one may decide.

import { html, useRef, useState } from "../../vendor/preact.js";
import { More } from "../admin/more.js";
import { PageHead } from "../admin/page_head.js";
import { usePages } from "../ui/loading.js";
import { Empty, Notice } from "../ui/states.js";
import { toast } from "../ui/toast.js";
import { Approval } from "./approval.js";
import { countWaiting } from "./waiting.js";

const keyOf = ({ run_id, tool_call_id }) => `${run_id} ${tool_call_id}`;

export default function ApprovalsView() {
  const pages = usePages("/approvals");
  const [decided, setDecided] = useState(() => new Set());
  const list = useRef(null);
  const shown = pages.items.filter((item) => !decided.has(keyOf(item)));

  const onDecided = (approval, words) => {
    const at = shown.indexOf(approval);
    setDecided((before) => new Set(before).add(keyOf(approval)));
    toast(words);
    countWaiting();
    // The next call takes the place of the one that went, for the keyboard too.
    requestAnimationFrame(() => {
      const titles = list.current?.querySelectorAll(".approval-title") ?? [];
      (titles[Math.min(at, titles.length - 1)] ?? document.querySelector("#approvals-title"))?.focus();
    });
  };

  return html`<div class="page page-narrow">
    <${PageHead} id="approvals-title" title="Approvals" text="Calls of tools that wait until a person has decided on them. The newest comes first." />
    ${pages.problem && html`<${Notice} problem=${pages.problem} action=${{ label: "Try again", onClick: pages.reload }} />`}
    <div class="visually-hidden" role="status">${pages.loading ? "" : shown.length === 0 ? "No calls wait." : `${shown.length} ${shown.length === 1 ? "call waits" : "calls wait"}.`}</div>
    ${shown.length > 0 && html`<ul class="cards" role="list" ref=${list}>
      ${shown.map((item) => html`<li key=${keyOf(item)}><${Approval} approval=${item} onDecided=${onDecided} onPassed=${pages.reload} /></li>`)}
    </ul>`}
    ${shown.length === 0 && !pages.loading && !pages.problem && html`<${Empty} icon="circle-check" title="Nothing waits for you"
      text="When an agent asks before it calls a tool, the call stands here." />`}
    <${More} pages=${pages} />
  </div>`;
}
