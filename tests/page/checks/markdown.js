// Markdown is the same however it comes, and nothing in it becomes anything but text, marks and links. Returns what is wrong.
async () => {
  const { MarkdownView } = await import("/assets/js/chat/markdown.js");
  const wrong = [];
  let seed = 5;
  const random = (below) => {
    seed = (seed * 1103515245 + 12345) & 0x7fffffff;
    return (seed >> 8) % below;
  };
  const rootOf = (text, steps) => {
    const root = document.createElement("div");
    const view = new MarkdownView(root);
    for (const step of steps) view.update(text.slice(0, step), false);
    view.update(text, true);
    return root;
  };
  const PIECES = ["# h\n", "a **b** c", "\n\n", "- x\n", "  - y\n", "1. z\n", "```js\ncode\n```\n", "| a | b |\n|---|--:|\n| 1 | 2 |\n", "> q\n", "text\n", "---\n", "<b>x</b>", "`c`", "[l](http://x.y)", "    ind\n", " ", "- [x] t\n", `- long ${"w ".repeat(300)}\n`, "é😀", "\r\n", "*i* ", "_u_", "~~s~~", "\\*", "&amp;"];
  for (let turn = 0; turn < 150; turn += 1) {
    let text = "";
    for (let count = random(turn % 4 ? 12 : 50); count > 0; count -= 1) text += PIECES[random(PIECES.length)];
    const steps = [];
    for (let at = 0; at < text.length; at += 1 + random(40)) steps.push(at);
    if (!rootOf(text, steps).isEqualNode(rootOf(text, []))) wrong.push(`it depends on how it comes: ${JSON.stringify(text).slice(0, 300)}`);
  }

  // What stands stays: elements of finished blocks are the same ones at the end.
  const root = document.createElement("div");
  const view = new MarkdownView(root);
  view.update("First **line**.\n\nSecond", false);
  const first = root.firstElementChild;
  const node = root.lastElementChild.firstChild;
  view.update("First **line**.\n\nSecond grows", false);
  if (root.firstElementChild !== first || root.lastElementChild.firstChild !== node) wrong.push("what stands is made anew");
  view.update("Half **bol", false);
  if (root.textContent !== "Half bol") wrong.push(`marks without their ends are seen: ${root.textContent}`);

  const cases = {
    "snake_case and 2 * 3": ["p", "snake_case and 2 * 3"],
    "**a**\n- b\n  - c\n\nEnd": ["p,strong,ul,li,ul,li,p", "abcEnd"],
    "1. a\n\n   more\n2. b": ["ol,li,p,p,li", "amoreb"],
    "[a](http://x.y/z_(1)) <https://o.k> www.q.de.": ["p,a,a,a", "a https://o.k www.q.de."],
    "> a\n> - b\n\nc": ["blockquote,p,ul,li,p", "abc"],
  };
  for (const [text, [tags, shown]] of Object.entries(cases)) {
    const made = rootOf(text, []);
    const found = [...made.querySelectorAll("*")].map((each) => each.tagName.toLowerCase()).join();
    if (found !== tags || made.textContent !== shown) wrong.push(`${JSON.stringify(text)}: ${found} ${made.textContent}`);
  }

  // What is spoken has no marks, and keeps signs that mean something.
  const { spoken } = await import("/assets/js/chat/announcer.js");
  const said = {
    "## A **bold** _word_, ~~gone~~": "A bold word, gone",
    "`file_content` and file_content in `__init__`": "file_content and file_content in __init__",
    "> C# has 2 > 1, 2 * 3, ~5 and a*b": "C# has 2 > 1, 2 * 3, ~5 and a*b",
    "[the site](http://x.y/a_b) ![a cat](c.png)": "the site a cat",
    "**Look:**\n```js\na_b\n```": "Look: Code.",
  };
  for (const [text, words] of Object.entries(said)) if (spoken(text) !== words) wrong.push(`${text} is spoken as ${spoken(text)}`);

  // Long and deep texts of any kind are read in a moment.
  for (const text of ["[".repeat(20000), "*a ".repeat(6000), "_a".repeat(9000), ">".repeat(9000), "- ".repeat(5000), "![](".repeat(5000), "`a``b".repeat(3000), "| a ".repeat(4000), "http://".repeat(2800), "a\n".repeat(9000), "1. ".repeat(6000)]) {
    const begin = performance.now();
    rootOf(text, []);
    spoken(text);
    const took = performance.now() - begin;
    if (took > 1500) wrong.push(`${text.slice(0, 6)} takes ${Math.round(took)} ms`);
  }
  return wrong;
}
