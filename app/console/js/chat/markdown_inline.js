// What a line of markdown becomes: text, emphasis, code, links. A fixed set of elements: HTML is shown as text, pictures
// are links, and a link leads only where one can see that it leads. Emphasis follows CommonMark's rules of delimiters.

export const textNode = (text) => ({ text });
export const element = (tag, children, attrs) => ({ tag, attrs, children });

const NAMED = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00a0", copy: "©", hellip: "…", mdash: "—", ndash: "–", times: "×", rarr: "→", larr: "←", deg: "°", euro: "€" };
const ENTITY = /&(?:#(\d{1,7})|#[xX]([\da-fA-F]{1,6})|([a-z]{2,6}));/y;
const PUNCTUATION = /[\p{P}\p{S}]/u;
const SPACE = /\s/;
const URL_START = /(?:https?:\/\/|www\.)[^\s<>"`]+/iy;
const AUTOLINK = /<((?:https?:\/\/|mailto:)[^\s<>]+)>/iy;
const TARGET = /\(\s*(?:<([^<>\n]*)>|((?:[^\s()\\]|\\.|\((?:[^\s()\\]|\\.)*\))*))(?:\s+(?:"[^"]*"|'[^']*'))?\s*\)/y;
const HOST = /(?:^|[\s/@])((?:[\w-]{1,63}\.){1,8}[a-z]{2,24})(?=$|[\s/:?#])/i;
// More marks than that in one paragraph are no emphasis of people.
const MAX_MARKS = 2_000;

function matchAt(pattern, text, at) {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

/** The address of a link that may be followed; null for every other. */
export function safeAddress(href) {
  try {
    const url = new URL(/^www\./i.test(href) ? `https://${href}` : href);
    return ["http:", "https:", "mailto:"].includes(url.protocol) ? url : null;
  } catch {
    return null;
  }
}

const plain = (nodes) => nodes.map((node) => node.text ?? plain(node.children)).join("");

function link(href, label) {
  const url = safeAddress(href.replace(/\\([!-/:-@[-`{-~])/g, "$1").trim());
  if (url === null) return [...label, textNode(href ? ` (${href})` : "")];
  const attrs = { href: url.href, title: url.href, target: "_blank", rel: "noopener noreferrer", referrerpolicy: "no-referrer" };
  const nodes = [element("a", label, attrs)];
  // A text that names another host than the one it leads to.
  const host = (url.host || url.pathname.split("@").at(-1)).replace(/^www\./, "");
  const named = HOST.exec(plain(label).slice(0, 300))?.[1]?.toLowerCase().replace(/^www\./, "");
  if (named && named !== host) nodes.push(textNode(` (${host})`));
  return nodes;
}

function image(href, label) {
  const alt = plain(label) || "image";
  return safeAddress(href)?.protocol.startsWith("http") ? link(href, [textNode(`Image: ${alt}`)]) : [textNode(`[${alt}]`)];
}

/** Neighbouring texts as one, so that a growing text is one growing node. */
export function joined(nodes) {
  const result = [];
  for (const node of nodes) {
    const last = result.at(-1);
    if (node.tag === undefined && last && last.tag === undefined) result[result.length - 1] = textNode(last.text + node.text);
    else if (node.tag !== undefined || node.text) result.push(node);
  }
  return result;
}

/** How a run of marks can be used, by what stands before and after it. */
function markAt(text, at, length) {
  const mark = text[at];
  const before = at ? text[at - 1] : " ";
  const after = text[at + length] ?? " ";
  const [spaceBefore, spaceAfter] = [SPACE.test(before), SPACE.test(after)];
  const [dotBefore, dotAfter] = [PUNCTUATION.test(before), PUNCTUATION.test(after)];
  const left = !spaceAfter && (!dotAfter || spaceBefore || dotBefore);
  const right = !spaceBefore && (!dotBefore || spaceAfter || dotAfter);
  const word = mark === "_";
  return { mark, count: length, opens: left && (!word || !right || dotBefore), closes: right && (!word || !left || dotAfter) };
}

const TAGS = { 1: "em", 2: "strong" };

/** The emphasis between marks from `begin` on, by CommonMark's algorithm. */
function emphasize(nodes, begin) {
  const bottoms = {};
  for (let at = begin; at < nodes.length; at += 1) {
    const closer = nodes[at];
    if (!closer.mark || !closer.closes || !closer.count) continue;
    const kind = `${closer.mark}${closer.opens}${closer.count % 3}`;
    let from = at - 1;
    for (; from >= Math.max(begin, bottoms[kind] ?? begin); from -= 1) {
      const opener = nodes[from];
      if (opener.mark !== closer.mark || !opener.opens || !opener.count) continue;
      if (closer.mark === "~" ? opener.count !== closer.count : ((opener.closes || closer.opens) && (opener.count + closer.count) % 3 === 0 && opener.count % 3)) continue;
      break;
    }
    if (from < Math.max(begin, bottoms[kind] ?? begin)) {
      bottoms[kind] = at;
      continue;
    }
    const opener = nodes[from];
    const used = closer.mark === "~" ? closer.count : Math.min(opener.count, closer.count, 2);
    const tag = closer.mark === "~" ? "del" : TAGS[used];
    const inside = asText(nodes.splice(from + 1, at - from - 1));
    opener.count -= used;
    closer.count -= used;
    nodes.splice(from + 1, 0, element(tag, inside));
    at = from + (closer.count ? 1 : 2);
  }
  return nodes;
}

const asText = (nodes) => joined(nodes.map((node) => (node.mark ? textNode(node.mark.repeat(node.count)) : node.open ? textNode(node.open) : node)));

class Inline {
  constructor(text) {
    Object.assign(this, { text, at: 0, nodes: [], brackets: [], marks: 0, pending: "" });
  }

  push(...nodes) {
    this.say();
    this.nodes.push(...nodes);
  }

  say() {
    if (this.pending) this.nodes.push(textNode(this.pending));
    this.pending = "";
  }

  parse() {
    const { text } = this;
    while (this.at < text.length) {
      const sign = text[this.at];
      if (!this[`on${SIGNS[sign] ?? "Text"}`](sign)) {
        this.pending += sign;
        this.at += 1;
      }
    }
    this.say();
    return asText(emphasize(this.nodes, 0));
  }

  onText(sign) {
    const before = this.text[this.at - 1];
    if ((sign !== "h" && sign !== "w" && sign !== "H" && sign !== "W") || (before && /[\w/]/.test(before))) return false;
    const found = matchAt(URL_START, this.text, this.at);
    if (!found || this.brackets.length) return false;
    // What ends a sentence is no part of the address, nor a bracket that was opened before it.
    let address = found[0].replace(/[?!.,:;*_~'"\]]+$/, "");
    while (address.endsWith(")") && address.split(")").length > address.split("(").length) address = address.slice(0, -1).replace(/[?!.,:;*_~'"\]]+$/, "");
    if (!safeAddress(address)) return false;
    this.push(...link(address, [textNode(address)]));
    this.at += address.length;
    return true;
  }

  onEscape() {
    const next = this.text[this.at + 1];
    if (next === "\n") return this.skip(1);
    if (next === undefined || !/[!-/:-@[-`{-~]/.test(next)) return false;
    this.pending += next;
    return this.skip(2);
  }

  skip(count) {
    this.at += count;
    return true;
  }

  onCode() {
    const run = /`+/y;
    const mark = matchAt(run, this.text, this.at)[0];
    const end = new RegExp(`(?<!\`)\`{${mark.length}}(?!\`)`, "g");
    const found = matchAt(end, this.text, this.at + mark.length);
    if (!found) {
      this.pending += mark;
      return this.skip(mark.length);
    }
    const code = this.text.slice(this.at + mark.length, found.index).replace(/\n/g, " ");
    const trimmed = /^ .*[^ ].* $/.test(code) ? code.slice(1, -1) : code;
    this.push(element("code", [textNode(trimmed)], { dir: "ltr" }));
    this.at = found.index + mark.length;
    return true;
  }

  onMark(sign) {
    let length = 1;
    while (this.text[this.at + length] === sign) length += 1;
    this.marks += 1;
    if (this.marks > MAX_MARKS || (sign === "~" && length > 2)) this.pending += sign.repeat(length);
    else this.push(markAt(this.text, this.at, length));
    return this.skip(length);
  }

  onOpen(sign) {
    const picture = sign === "!";
    if (picture && this.text[this.at + 1] !== "[") return false;
    this.push({ open: picture ? "![" : "[" });
    this.brackets.push({ at: this.nodes.length - 1, picture });
    return this.skip(picture ? 2 : 1);
  }

  onClose() {
    const opener = this.brackets.pop();
    if (!opener) return false;
    this.say();
    const target = this.text[this.at + 1] === "(" ? matchAt(TARGET, this.text, this.at + 1) : null;
    if (!target) {
      this.nodes[opener.at] = textNode(this.nodes[opener.at].open);
      return false;
    }
    const label = asText(emphasize(this.nodes.splice(opener.at + 1), 0));
    this.nodes.pop();
    const href = target[1] ?? target[2];
    this.push(...(opener.picture ? image(href, label) : link(href, label)));
    // There is no link in a link.
    if (!opener.picture) {
      for (const { at, picture } of this.brackets) if (!picture) this.nodes[at] = textNode("[");
      this.brackets = this.brackets.filter(({ picture }) => picture);
    }
    return this.skip(1 + target[0].length);
  }

  onLess() {
    const found = matchAt(AUTOLINK, this.text, this.at);
    if (found) {
      this.push(...link(found[1], [textNode(found[1].replace(/^mailto:/, ""))]));
      return this.skip(found[0].length);
    }
    const line = matchAt(/<br\s?\/?>/iy, this.text, this.at);
    if (!line) return false;
    this.push(element("br", []));
    return this.skip(line[0].length);
  }

  onAnd() {
    const found = matchAt(ENTITY, this.text, this.at);
    if (!found) return false;
    const [whole, decimal, hex, name] = found;
    const point = Number.parseInt(decimal ?? hex, decimal ? 10 : 16);
    const fits = point > 0 && point <= 0x10ffff && !(point >= 0xd800 && point < 0xe000);
    const sign = name ? NAMED[name] : fits && String.fromCodePoint(point);
    if (!sign) return false;
    this.pending += sign;
    return this.skip(whole.length);
  }

  onLine() {
    this.pending = this.pending.trimEnd();
    this.push(element("br", []));
    this.at += 1;
    while (this.text[this.at] === " ") this.at += 1;
    return true;
  }
}

const SIGNS = { "\\": "Escape", "`": "Code", "*": "Mark", _: "Mark", "~": "Mark", "[": "Open", "!": "Open", "]": "Close", "<": "Less", "&": "And", "\n": "Line" };

/** The nodes of a text without blocks. */
export const inlineNodes = (text) => new Inline(text.trim()).parse();
