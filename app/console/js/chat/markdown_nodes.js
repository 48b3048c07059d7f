// What each piece of markdown becomes: a fixed set of elements and attributes. HTML in it is shown as text, pictures
// are links, and links lead only where one can see that they lead.

import { codeBlock } from "./code_block.js";

const text = (value) => ({ text: value });
const element = (tag, children, attrs) => ({ tag, attrs, children });

const NAMED = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00a0", copy: "©", reg: "®", hellip: "…", mdash: "—", ndash: "–", times: "×", middot: "·", bull: "•", rarr: "→", larr: "←", deg: "°", euro: "€" };

/** Entities as their characters, the few that people write; others stay as they are. */
function decode(value) {
  if (!value.includes("&")) return value;
  return value.replace(/&(?:#(\d{1,7})|#[xX]([\da-fA-F]{1,6})|(\w{2,8}));/g, (whole, decimal, hex, name) => {
    if (name) return NAMED[name] ?? whole;
    const point = Number.parseInt(decimal ?? hex, decimal ? 10 : 16);
    return point > 0 && point <= 0x10ffff && !(point >= 0xd800 && point < 0xe000) ? String.fromCodePoint(point) : whole;
  });
}

/** The address of a link that may be followed; null for every other. */
export function safeAddress(href) {
  try {
    const url = new URL(decode(String(href)).trim());
    return ["http:", "https:", "mailto:"].includes(url.protocol) ? url : null;
  } catch {
    return null;
  }
}

const LOOKS_LIKE_HOST = /(?:^|[\s/@])((?:[\w-]+\.)+[a-z]{2,})(?=$|[\s/:?#])/i;

function plainText(tokens) {
  return (tokens ?? []).map((token) => (token.tokens ? plainText(token.tokens) : (token.text ?? ""))).join("");
}

function link(token) {
  const label = inlineNodes(token.tokens);
  const url = safeAddress(token.href);
  if (url === null) return [...label, text(` (${token.href})`)];
  const named = LOOKS_LIKE_HOST.exec(plainText(token.tokens))?.[1]?.toLowerCase();
  const host = url.host || url.pathname.split("@").at(-1);
  const attrs = { href: url.href, title: url.href, target: "_blank", rel: "noopener noreferrer", referrerpolicy: "no-referrer" };
  const nodes = [element("a", label, attrs)];
  // A text that names another host than the one it leads to.
  if (named && named !== host && named !== host.replace(/^www\./, "") && `www.${named}` !== host) nodes.push(text(` (${host})`));
  return nodes;
}

function image(token) {
  const alt = token.text || "image";
  const url = safeAddress(token.href);
  if (url === null || url.protocol === "mailto:") return [text(`[${alt}]`)];
  return link({ href: url.href, tokens: [{ type: "text", text: `Image: ${alt}`, plain: true }] });
}

const INLINE = {
  text: (token) => (token.tokens ? inlineNodes(token.tokens) : [text(token.plain ? token.text : decode(token.text))]),
  escape: (token) => [text(decode(token.text))],
  html: (token) => (/^<br\s*\/?>$/i.test(token.raw.trim()) ? [element("br", [])] : [text(token.raw)]),
  strong: (token) => [element("strong", inlineNodes(token.tokens))],
  em: (token) => [element("em", inlineNodes(token.tokens))],
  del: (token) => [element("del", inlineNodes(token.tokens))],
  codespan: (token) => [element("code", [text(token.text)], { dir: "ltr" })],
  br: () => [element("br", [])],
  checkbox: (token) => [checkbox(token)],
  link,
  image,
};

const checkbox = (token) => element("input", [], { type: "checkbox", disabled: "", "aria-label": token.checked ? "done" : "open", ...(token.checked ? { checked: "" } : {}) });

/** Neighbouring texts as one, so that a growing text is one growing node. */
function joined(nodes) {
  const result = [];
  for (const node of nodes) {
    const last = result.at(-1);
    if (node.tag === undefined && last && last.tag === undefined) result[result.length - 1] = text(last.text + node.text);
    else result.push(node);
  }
  return result;
}

const inlineNodes = (tokens) => joined((tokens ?? []).flatMap((token) => (INLINE[token.type] ?? INLINE.html)(token)));

/** The node of an item, without paragraphs where each item is one line. */
export function listItem(item) {
  const content = item.tokens.flatMap((token) => {
    if (token.type === "checkbox") return [checkbox(token), text(" ")];
    return token.type === "text" ? inlineNodes(token.tokens ?? [token]) : blockNodes(token);
  });
  return element("li", joined(content), { dir: "auto", ...(item.task ? { class: "task" } : {}) });
}

function list(token) {
  const attrs = { dir: "auto", ...(token.ordered && token.start !== 1 && token.start !== "" ? { start: String(token.start) } : {}) };
  return [element(token.ordered ? "ol" : "ul", token.items.map(listItem), attrs)];
}

function table(token) {
  const cell = (tag) => (given, column) => {
    const align = token.align[column];
    return element(tag, inlineNodes(given.tokens), { dir: "auto", ...(align ? { class: `align-${align}` } : {}), ...(tag === "th" ? { scope: "col" } : {}) });
  };
  const head = element("thead", [element("tr", token.header.map(cell("th")))]);
  const body = element("tbody", token.rows.map((row) => element("tr", row.map(cell("td")))));
  return [element("div", [element("table", [head, body])], { class: "table-scroll", tabindex: "0", role: "region", "aria-label": "Table" })];
}

const BLOCKS = {
  space: () => [],
  def: () => [],
  hr: () => [element("hr", [])],
  heading: (token) => [element(`h${Math.min(token.depth + 2, 6)}`, inlineNodes(token.tokens), { dir: "auto", class: `depth-${token.depth}` })],
  paragraph: (token) => [element("p", inlineNodes(token.tokens), { dir: "auto" })],
  text: (token) => [element("p", inlineNodes(token.tokens ?? [token]), { dir: "auto" })],
  html: (token) => [element("p", [text(token.raw.replace(/\n+$/, ""))], { dir: "auto" })],
  blockquote: (token) => [element("blockquote", token.tokens.flatMap(blockNodes), { dir: "auto" })],
  code: (token) => [codeBlock(token.text, (token.lang ?? "").split(/\s/)[0])],
  list,
  table,
};

/** The nodes of one block. */
export function blockNodes(token) {
  return (BLOCKS[token.type] ?? BLOCKS.html)(token);
}
