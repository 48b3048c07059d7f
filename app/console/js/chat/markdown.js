// Markdown that is shown while it is written. What is finished stands and is never touched again; only the last block is
// read anew, and only what is new of it reaches the page. Nothing is ever set as HTML.

import { Lexer } from "../../vendor/marked.js";
import { patch } from "./markdown_patch.js";
import { blockNodes, listItem } from "./markdown_nodes.js";
import { calm } from "./markdown_calm.js";

const OPTIONS = { gfm: true, breaks: true };
// A block that is longer without an end, or nested deeper, is no text for people: it is shown as it is.
const MAX_LINE = 20_000;
// Longer answers are not read once more at their end.
const MAX_CHECKED = 50_000;
const LONG_LIST = 2_000;
const TOO_DEEP = /^(?:[ \t]*(?:[-+*>]|\d{1,9}[.)])){40,}/m;

function plain(text) {
  return [{ type: "paragraph", raw: text, tokens: [{ type: "text", raw: text, text, plain: true }] }];
}

function tokensOf(text, links) {
  if (TOO_DEEP.test(text) || longestLine(text) > MAX_LINE) return plain(text);
  try {
    const lexer = new Lexer(OPTIONS);
    Object.assign(lexer.tokens.links, links);
    const tokens = lexer.lex(text);
    Object.assign(links, tokens.links);
    return tokens;
  } catch {
    return plain(text);
  }
}

function longestLine(text) {
  let longest = 0;
  for (let begin = 0; begin <= text.length; ) {
    const end = text.indexOf("\n", begin);
    const stop = end < 0 ? text.length : end;
    longest = Math.max(longest, stop - begin);
    begin = stop + 1;
  }
  return longest;
}

export class MarkdownView {
  /** Writes into `root`, which is its own. */
  constructor(root) {
    this.root = root;
    this.reset();
  }

  reset() {
    this.root.replaceChildren();
    this.text = "";
    this.start = 0; // where the open block begins in the text
    this.open = []; // the nodes of the open block
    this.begins = []; // where the blocks begin
    this.list = null; // a long list that is open: {ordered, body, open: the nodes of its last items}
    this.links = Object.create(null);
    this.done = false;
  }

  /** Show this text, which mostly goes on from the one before; `done`: nothing more comes. */
  update(given, done) {
    const text = given.includes("\r") ? given.replace(/\r\n?/g, "\n") : given;
    if (text === this.text && done === this.done) return;
    if (!text.startsWith(this.text) || (this.done && text !== this.text)) this.reset();
    this.text = text;
    this.done = done;
    this.show(done);
    if (done && this.start > 0 && text.length <= MAX_CHECKED && !this.isAsWhole()) {
      this.reset();
      Object.assign(this, { text, done });
      this.show(done);
    }
  }

  /** Whether the text as a whole has the same blocks, and no reference before its definition. */
  isAsWhole() {
    const links = Object.create(null);
    const begins = [];
    let at = 0;
    for (const token of tokensOf(this.text, links)) {
      if (token.type !== "space") begins.push(at);
      at += token.raw.length;
    }
    return Object.keys(links).length === 0 && begins.join() === this.begins.join();
  }

  show(done) {
    const tail = this.text.slice(this.start);
    let tokens = tokensOf(done ? tail : calm(tail), this.links);
    if (this.list) {
      tokens = this.continueList(tokens);
      if (this.list) return;
    }
    let last = tokens.length - 1;
    while (last > 0 && tokens[last].type === "space") last -= 1;
    const finished = tokens.slice(0, Math.max(last, 0));
    if (finished.length) {
      patch(this.root, this.open, finished.flatMap(blockNodes));
      this.open = [];
      this.pass(finished);
    }
    const open = tokens.slice(finished.length);
    this.open = patch(this.root, this.open, open.flatMap(blockNodes));
    if (done && open[0] && open[0].type !== "space") this.begins.push(this.start);
    if (open[0]?.type === "list" && open[0].raw.length > LONG_LIST && !done) this.beginList(open[0]);
  }

  /** These tokens are finished. */
  pass(tokens) {
    for (const token of tokens) {
      if (token.type !== "space") this.begins.push(this.start);
      this.start += token.raw.length;
    }
  }

  /** Of a long list, only the last item is still open. */
  beginList(token) {
    this.begins.push(this.start);
    const [{ body, children }] = this.open;
    this.list = { ordered: token.ordered, body, open: children };
    this.open = [];
    this.finishItems(token);
  }

  finishItems(token) {
    const finished = token.items.slice(0, -1);
    this.start += lengthOf(finished);
    this.list.open = this.list.open.slice(finished.length);
  }

  /** Show what belongs to the long list; returns what comes after it, if it has ended. */
  continueList(tokens) {
    const goesOn = tokens[0]?.type === "list" && tokens[0].ordered === this.list.ordered;
    this.list.open = patch(this.list.body, this.list.open, goesOn ? tokens[0].items.map(listItem) : []);
    const rest = tokens.slice(goesOn ? 1 : 0);
    if (rest.every((token) => token.type === "space")) {
      if (goesOn) this.finishItems(tokens[0]);
      return [];
    }
    if (goesOn) this.start += tokens[0].raw.length;
    this.list = null;
    return rest;
  }
}

const lengthOf = (tokens) => tokens.reduce((sum, token) => sum + token.raw.length, 0);
