// What is otherwise between two agents, field by field, and between two texts, line by line.
import { canonical } from "./draft.js";

export const FIELDS = {
  name: "Name",
  description: "Description",
  system_prompt: "System prompt",
  provider: "Provider",
  model: "Model",
  settings: "Settings",
  tools: "Tools",
  memory: "Memory",
  guardrails: "Guardrails",
  fallbacks: "Fallbacks",
  output_schema: "Output schema",
  budget: "Budget",
  metadata: "Metadata",
};
// Beyond this a line by line comparison costs too much, and is not read either.
const MOST_LINES = 2000;

/** The fields that differ: `[{field, label, lines: [{kind: "same" | "removed" | "added" | "gap", text}]}]`. */
export function differences(before, after) {
  return Object.entries(FIELDS)
    .filter(([field]) => canonical(filled(before[field])) !== canonical(filled(after[field])))
    .map(([field, label]) => ({ field, label, lines: shortened(diffLines(linesOf(before[field]), linesOf(after[field]))) }));
}

// To a person an empty list, an empty object and nothing are the same.
const filled = (value) => (value && typeof value === "object" && !Object.keys(value).length ? null : value || null);

/** A value as lines that people can read. */
export function linesOf(value) {
  if (value === null || value === undefined || value === "") return [];
  if (typeof value === "string") return value.split("\n");
  if (Array.isArray(value)) return value.flatMap((each) => (isEntry(each) ? entryLines(each) : [plain(each)]));
  if (typeof value !== "object") return [String(value)];
  return membersOf(value);
}

const isEntry = (value) => value && typeof value === "object" && !Array.isArray(value);
const plain = (value) => (typeof value === "string" ? value : JSON.stringify(value));

/** An entry of a list by what it is called, with the rest of it below. */
function entryLines({ type, name, ...rest }) {
  const title = type ?? name;
  return title === undefined ? membersOf(rest) : [title, ...membersOf(rest).map((line) => `  ${line}`)];
}

function membersOf(value) {
  return Object.entries(value).flatMap(([name, each]) => {
    if (Array.isArray(each) && each.every((one) => typeof one !== "object")) return [`${name}: ${each.join(", ")}`];
    return `${name}: ${typeof each === "string" ? each : JSON.stringify(each, null, 2)}`.split("\n");
  });
}

/** The shortest way from some lines to others. */
export function diffLines(before, after) {
  let start = 0;
  while (start < before.length && start < after.length && before[start] === after[start]) start += 1;
  let end = 0;
  while (end < before.length - start && end < after.length - start && before.at(-1 - end) === after.at(-1 - end)) end += 1;
  const same = (lines) => lines.map((text) => ({ kind: "same", text }));
  const middle = diffMiddle(before.slice(start, before.length - end), after.slice(start, after.length - end));
  return [...same(before.slice(0, start)), ...middle, ...same(before.slice(before.length - end))];
}

function diffMiddle(before, after) {
  const removed = (lines) => lines.map((text) => ({ kind: "removed", text }));
  const added = (lines) => lines.map((text) => ({ kind: "added", text }));
  if (!before.length || !after.length || before.length * after.length > MOST_LINES ** 2) return [...removed(before), ...added(after)];
  const width = after.length + 1;
  // The length of the longest common subsequence of what follows each pair of lines.
  const common = new Uint32Array((before.length + 1) * width);
  for (let i = before.length - 1; i >= 0; i -= 1) {
    for (let j = after.length - 1; j >= 0; j -= 1) {
      common[i * width + j] = before[i] === after[j]
        ? common[(i + 1) * width + j + 1] + 1
        : Math.max(common[(i + 1) * width + j], common[i * width + j + 1]);
    }
  }
  const lines = [];
  let [i, j] = [0, 0];
  while (i < before.length && j < after.length) {
    if (before[i] === after[j]) {
      lines.push({ kind: "same", text: before[i] });
      i += 1;
      j += 1;
    } else if (common[(i + 1) * width + j] >= common[i * width + j + 1]) {
      lines.push({ kind: "removed", text: before[i] });
      i += 1;
    } else {
      lines.push({ kind: "added", text: after[j] });
      j += 1;
    }
  }
  return [...lines, ...removed(before.slice(i)), ...added(after.slice(j))];
}

/** Lines with long stretches of what stayed cut to three lines around each change. */
export function shortened(lines, around = 3) {
  const near = lines.map((_, index) => lines.slice(Math.max(0, index - around), index + around + 1).some(({ kind }) => kind !== "same"));
  const kept = [];
  for (const [index, line] of lines.entries()) {
    if (near[index]) kept.push(line);
    else if (kept.at(-1)?.kind !== "gap") kept.push({ kind: "gap", text: "" });
  }
  return kept;
}
