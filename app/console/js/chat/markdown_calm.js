// Text in the middle of being written, so that it does not jump: marks that have no end yet get one, and a last line that
// may still become anything waits.

// Nothing but marks: a heading, a list, a rule, a fence or the line below a table's head may come of it.
const ONLY_MARKS = /^[ \t]*(?:[-*_=+>#`~|: \t]+|\d{1,9}[.)]?[ \t]*)$/;

/** The text as it is shown while more of it comes. */
export function calm(text) {
  const fence = openFence(text);
  const line = text.lastIndexOf("\n") + 1;
  const last = text.slice(line);
  if (fence) return /^[ \t]*[`~]+[ \t]*$/.test(last) ? text.slice(0, line) : text;
  let shown = ONLY_MARKS.test(last) ? text.slice(0, line) : text;
  shown = withoutTableHead(shown);
  const begin = shown.lastIndexOf("\n\n") + 1;
  return shown.slice(0, begin) + closed(shown.slice(begin));
}

/** Whether the text ends inside of a fence. */
function openFence(text) {
  let fence = null;
  for (const [, marks, rest] of text.matchAll(/^[ \t>]*(?:[-+*] +|\d{1,9}[.)] +)?(`{3,}|~{3,})(.*)$/gm)) {
    if (fence === null) fence = marks;
    else if (marks[0] === fence[0] && marks.length >= fence.length && !rest.trim()) fence = null;
  }
  return fence !== null;
}

/** A table's head waits for the line below it. */
function withoutTableHead(text) {
  const found = /(^|\n)[ \t]*\|[^\n]*(?:\n[ \t|:-]*)?$/.exec(text);
  if (!found) return text;
  const begin = found.index + found[1].length;
  const before = text.slice(0, begin).split("\n").at(-2) ?? "";
  return before.trimStart().startsWith("|") ? text : text.slice(0, begin);
}

/** The last paragraph with its marks closed. */
function closed(text) {
  let shown = text;
  const ticks = shown.match(/`+/g) ?? [];
  if (ticks.length % 2 === 1) {
    const mark = ticks.at(-1);
    return shown.endsWith(mark) ? shown.slice(0, -mark.length) : shown + mark;
  }
  shown = shown.replace(/!?\[([^\]\n]*)(?:\](?:\([^)\n]*)?)?$/, "$1");
  shown = shown.replace(/(\*\*\*|\*\*|\*|__|_|~~)$/, (mark, _, at) => (isOpening(shown, at) ? "" : mark));
  const prose = shown.replace(/`[^`]*`/g, "");
  if (count(prose, /\*\*/g) % 2 && /\*\*(?=[^\s*])(?:(?!\*\*)[^])*$/.test(prose)) shown += shown.endsWith("*") && !shown.endsWith("**") ? "*" : "**";
  else if (/(?:^|[\s(])\*(?=[^\s*])[^*\n]*$/.test(prose)) shown += "*";
  if (count(prose, /~~/g) % 2) shown += "~~";
  if (/(?:^|[\s(])__(?=[^\s_])(?:(?!__)[^\n])*$/.test(prose)) shown += "__";
  else if (/(?:^|[\s(])_(?=[^\s_])[^_\n]*$/.test(prose)) shown += "_";
  return shown;
}

const count = (text, pattern) => (text.match(pattern) ?? []).length;
const isOpening = (text, at) => at === 0 || /\s|[(]/.test(text[at - 1]);
