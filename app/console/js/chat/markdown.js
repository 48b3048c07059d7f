// Markdown that is shown while it is written. What is finished stands and is never touched again; only the last block is
// read anew, and only what is new of it reaches the page. Nothing is ever set as HTML.

import { blocks } from "./markdown_blocks.js";
import { calm } from "./markdown_calm.js";
import { element, textNode } from "./markdown_inline.js";
import { patch } from "./markdown_patch.js";

// A line that is longer is no text for people: it is shown as it is.
const MAX_LINE = 20_000;
// Longer answers are not read once more at their end.
const MAX_CHECKED = 50_000;
const LONG_LIST = 2_000;

function blocksOf(text) {
  const long = text.length > MAX_LINE && text.split("\n").some((line) => line.length > MAX_LINE);
  return long ? [{ type: "block", length: text.length, node: element("p", [textNode(text)], { dir: "auto" }) }] : blocks(text);
}

const nodesOf = (tokens) => tokens.filter((token) => token.node).map((token) => token.node);

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

  /** Whether the text as a whole has the same blocks: what came later may have changed how a line is read. */
  isAsWhole() {
    const begins = [];
    let at = 0;
    for (const token of blocksOf(this.text)) {
      if (token.node) begins.push(at);
      at += token.length;
    }
    return begins.join() === this.begins.join();
  }

  show(done) {
    const tail = this.text.slice(this.start);
    let tokens = blocksOf(done ? tail : calm(tail));
    if (this.list) {
      tokens = this.continueList(tokens);
      if (this.list) return;
    }
    let last = tokens.length - 1;
    while (last > 0 && !tokens[last].node) last -= 1;
    const finished = tokens.slice(0, Math.max(last, 0));
    if (finished.length) {
      patch(this.root, this.open, nodesOf(finished));
      this.open = [];
      this.pass(finished);
    }
    const open = tokens.slice(finished.length);
    this.open = patch(this.root, this.open, nodesOf(open));
    if (done && open[0]?.node) this.begins.push(this.start);
    if (open[0]?.type === "list" && open[0].length > LONG_LIST && !done) this.beginList(open[0]);
  }

  /** These blocks are finished. */
  pass(tokens) {
    for (const token of tokens) {
      if (token.node) this.begins.push(this.start);
      this.start += token.length;
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
    this.start += finished.reduce((sum, item) => sum + item.length, 0);
    this.list.open = this.list.open.slice(finished.length);
  }

  /** Show what belongs to the long list; returns what comes after it, if it has ended. */
  continueList(tokens) {
    const goesOn = tokens[0]?.type === "list" && tokens[0].ordered === this.list.ordered;
    this.list.open = patch(this.list.body, this.list.open, goesOn ? tokens[0].items.map((item) => item.node) : []);
    const rest = tokens.slice(goesOn ? 1 : 0);
    if (rest.every((token) => !token.node)) {
      if (goesOn) this.finishItems(tokens[0]);
      return [];
    }
    if (goesOn) this.start += tokens[0].length;
    this.list = null;
    return rest;
  }
}
