// The blocks of a markdown text, by its lines: CommonMark's, with tables and tasks, without HTML and references.
// Where models write otherwise than the standard (lists indented by two), what they mean is taken.

import { codeBlock } from "./code_block.js";
import { element, inlineNodes, joined, textNode } from "./markdown_inline.js";

const FENCE = /^( {0,3})(`{3,}|~{3,})[ \t]*([^`]*)$/;
const HEADING = /^ {0,3}(#{1,6})(?:[ \t]+(.*))?$/;
const RULE = /^ {0,3}([-*_])[ \t]*(?:\1[ \t]*){2,}$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^( *)([-+*]|\d{1,9}[.)])(?:( +)(?=\S)|[ \t]*$)/;
const UNDERLINE = /^ {0,3}(=+|-+)[ \t]*$/;
const DELIMITERS = /^ {0,3}\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$/;
const MAX_DEPTH = 12;

// The outermost block finds its direction by its first letters; what is in it goes the same way, with its markers and lines.
const directed = (depth, attrs = {}) => (depth === 0 ? { dir: "auto", ...attrs } : attrs);

const isBlank = (line) => line.trim() === "";
const untabbed = (line) => (line.includes("\t") ? line.replace(/^[ \t]+/, (space) => space.replaceAll("\t", "    ")) : line);
const isTable = (lines, at) => lines[at].includes("|") && at + 1 < lines.length && DELIMITERS.test(lines[at + 1]) && lines[at + 1].includes("-") && cells(lines[at]).length === cells(lines[at + 1]).length;

/** Whether a line begins something other than more of a paragraph. */
function interrupts(lines, at) {
  const line = lines[at];
  if (FENCE.test(line) || HEADING.test(line) || RULE.test(line) || QUOTE.test(line)) return true;
  const item = ITEM.exec(line);
  return (item !== null && item[1].length < 4 && item[3] !== undefined) || isTable(lines, at);
}

function cells(line) {
  const parts = [];
  let cell = "";
  let code = false;
  for (let at = 0; at < line.length; at += 1) {
    if (line[at] === "\\" && line[at + 1] === "|") {
      cell += "|";
      at += 1;
    } else if (line[at] === "|" && !code) {
      parts.push(cell);
      cell = "";
    } else {
      if (line[at] === "`") code = !code && line.indexOf("`", at + 1) > 0;
      cell += line[at];
    }
  }
  parts.push(cell);
  if (!parts[0].trim()) parts.shift();
  if (parts.length && !parts.at(-1).trim()) parts.pop();
  return parts.map((part) => part.trim());
}

function fence(lines, begin, [, indent, mark, info]) {
  let end = begin + 1;
  const isEnd = (line) => /^ {0,3}(`+|~+)[ \t]*$/.test(line) && line.trim()[0] === mark[0] && line.trim().length >= mark.length;
  while (end < lines.length && !isEnd(lines[end])) end += 1;
  const code = lines.slice(begin + 1, end).map((line) => line.slice(Math.min(indent.length, line.length - line.trimStart().length)));
  return { end: Math.min(end + 1, lines.length), node: codeBlock(code.join("\n"), info.trim().split(/\s/)[0]) };
}

function quote(lines, begin, depth) {
  let end = begin + 1;
  while (end < lines.length && (QUOTE.test(lines[end]) || (!isBlank(lines[end]) && !interrupts(lines, end) && !isBlank(lines[end - 1].replace(QUOTE, ""))))) end += 1;
  const inner = lines.slice(begin, end).map((line) => line.replace(QUOTE, ""));
  return { end, node: element("blockquote", nodesOf(inner, depth + 1), directed(depth)) };
}

/** Where an item's lines end: at the next marker of its list, or at text that is not indented after an empty line. */
function itemEnd(lines, begin, content, indent) {
  let end = begin + 1;
  let open = null;
  for (; end < lines.length; end += 1) {
    const line = lines[end];
    if (isBlank(line)) continue;
    const own = line.length - line.trimStart().length;
    const inside = own >= content || (ITEM.test(line) && own > indent + 1);
    if (!inside) {
      if (open || isBlank(lines[end - 1]) || ITEM.test(line) || interrupts(lines, end)) break;
      continue;
    }
    const found = FENCE.exec(line.slice(Math.min(own, content)));
    if (open ? found && found[2][0] === open[0] && !found[3] : found) open = open ? null : found[2];
  }
  return end;
}

function item(lines, begin, end, content, depth) {
  const inner = lines.slice(begin, end).map((line, at) => {
    const own = line.length - line.trimStart().length;
    return at === 0 ? line.slice(content) : line.slice(Math.min(own, content));
  });
  const task = /^\[([ xX])\][ \t]+/.exec(inner[0]);
  if (task) inner[0] = inner[0].slice(task[0].length);
  const tokens = blocksOf(inner, depth + 1).filter((token) => token.node);
  // One paragraph is the item's own text; several are paragraphs in it.
  const single = tokens.filter((token) => token.type === "paragraph").length < 2;
  const children = tokens.flatMap((token) => (single && token.type === "paragraph" ? token.node.children : [token.node]));
  if (!task) return element("li", children);
  const checked = task[1] !== " ";
  const box = element("input", [], { type: "checkbox", disabled: "", "aria-label": checked ? "done" : "open", ...(checked ? { checked: "" } : {}) });
  return element("li", joined([box, textNode(" "), ...children]), { class: "task" });
}

function list(lines, begin, first, depth) {
  const kind = (found) => found[2].at(-1);
  const ordered = /\d/.test(first[2]);
  const items = [];
  let at = begin;
  for (let found = first; found && kind(found) === kind(first) && found[1].length < first[1].length + 4 && !(at > begin && RULE.test(lines[at])); found = at < lines.length ? ITEM.exec(lines[at]) : null) {
    const space = found[3] === undefined || found[3].length > 4 ? 1 : found[3].length;
    const content = found[1].length + found[2].length + space;
    const end = itemEnd(lines, at, content, found[1].length);
    items.push({ begin: at, end, node: item(lines, at, end, content, depth) });
    at = end;
  }
  // Empty lines after the last item belong to what follows.
  let end = at;
  while (end > begin + 1 && isBlank(lines[end - 1])) end -= 1;
  items.at(-1).end = end;
  const number = Number.parseInt(first[2], 10);
  const attrs = directed(depth, ordered && number !== 1 ? { start: String(number) } : {});
  return { type: "list", end, ordered, items, node: element(ordered ? "ol" : "ul", items.map((each) => each.node), attrs) };
}

function table(lines, begin, depth) {
  const aligns = cells(lines[begin + 1]).map((cell) => (cell.endsWith(":") ? (cell.startsWith(":") ? "center" : "right") : null));
  const row = (line, tag) => {
    const given = cells(line);
    return element("tr", aligns.map((align, column) => element(tag, inlineNodes(given[column] ?? ""), { ...(align ? { class: `align-${align}` } : {}), ...(tag === "th" ? { scope: "col" } : {}) })));
  };
  let end = begin + 2;
  while (end < lines.length && !isBlank(lines[end]) && (lines[end].includes("|") || !interrupts(lines, end)) && lines[end].includes("|")) end += 1;
  const body = lines.slice(begin + 2, end).map((line) => row(line, "td"));
  const parts = [element("thead", [row(lines[begin], "th")]), element("tbody", body)];
  return { end, node: element("div", [element("table", parts, directed(depth))], { class: "table-scroll", tabindex: "0", role: "region", "aria-label": "Table" }) };
}

function indentedCode(lines, begin) {
  let end = begin;
  while (end < lines.length && (isBlank(lines[end]) || lines[end].startsWith("    "))) end += 1;
  while (isBlank(lines[end - 1])) end -= 1;
  return { end, node: codeBlock(lines.slice(begin, end).map((line) => line.slice(4)).join("\n"), "") };
}

// One level for all: answers begin at any, and levels that are left out puzzle screen readers.
const heading = (level, text, depth) => element("h2", inlineNodes(text), directed(depth, { class: `depth-${level}` }));

function paragraph(lines, begin, depth) {
  let end = begin + 1;
  for (; end < lines.length && !isBlank(lines[end]); end += 1) {
    const line = UNDERLINE.exec(lines[end]);
    if (line) return { end: end + 1, node: heading(line[1][0] === "=" ? 1 : 2, lines.slice(begin, end).join("\n"), depth) };
    if (interrupts(lines, end)) break;
  }
  const text = lines.slice(begin, end).map((line) => line.trimStart()).join("\n");
  return { type: "paragraph", end, node: element("p", inlineNodes(text), directed(depth)) };
}

function blockAt(lines, at, depth) {
  const line = lines[at];
  if (isBlank(line)) return { type: "space", end: at + 1 };
  if (depth > MAX_DEPTH) return { end: lines.length, node: element("p", [textNode(lines.slice(at).join("\n"))], { dir: "auto" }) };
  if (line.startsWith("    ")) return indentedCode(lines, at);
  const begins = FENCE.exec(line);
  if (begins) return fence(lines, at, begins);
  const head = HEADING.exec(line);
  if (head) return { end: at + 1, node: heading(head[1].length, (head[2] ?? "").replace(/(?:^|[ \t]+)#+[ \t]*$/, ""), depth) };
  if (RULE.test(line)) return { end: at + 1, node: element("hr", []) };
  if (QUOTE.test(line)) return quote(lines, at, depth);
  const found = ITEM.exec(line);
  if (found) return list(lines, at, found, depth);
  return isTable(lines, at) ? table(lines, at, depth) : paragraph(lines, at, depth);
}

function blocksOf(lines, depth) {
  const tokens = [];
  for (let at = 0; at < lines.length; ) {
    const token = blockAt(lines, at, depth);
    tokens.push({ type: "block", begin: at, ...token });
    at = token.end;
  }
  return tokens;
}

const nodesOf = (lines, depth) => blocksOf(lines, depth).filter((token) => token.node).map((token) => token.node);

/**
 * The blocks of a text, each with its `length` in it and its `node` (empty lines have none); a list has `items`, too.
 * The lengths add up to the text's.
 */
export function blocks(text) {
  const given = text.split("\n");
  const lengthOf = ({ begin, end }) => given.slice(begin, end).reduce((sum, line) => sum + line.length + 1, 0);
  const tokens = blocksOf(given.map(untabbed), 0);
  for (const token of tokens) {
    token.length = lengthOf(token);
    for (const each of token.items ?? []) each.length = lengthOf(each);
  }
  if (tokens.length) tokens.at(-1).length -= 1; // after the last line there is no line break
  return tokens;
}
