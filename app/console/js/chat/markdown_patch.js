// The smallest change of the page that makes it show these nodes: text grows, elements are added at the end.
// A node is {text} or {tag, attrs, children, make}; `make` builds an element of its own, whose `body` takes the children.

function build(node) {
  if (node.tag === undefined) {
    node.dom = document.createTextNode(node.text);
    return node.dom;
  }
  const made = node.make?.(node);
  node.dom = made?.element ?? document.createElement(node.tag);
  node.body = made?.body ?? node.dom;
  for (const [name, value] of Object.entries(node.attrs ?? {})) node.body.setAttribute(name, value);
  for (const child of node.children) node.body.append(build(child));
  return node.dom;
}

const isSame = (old, node) =>
  old.tag === node.tag && old.key === node.key && JSON.stringify(old.attrs) === JSON.stringify(node.attrs);

function grow(old, node) {
  node.dom = old.dom;
  if (node.tag === undefined) {
    if (old.text === node.text) return;
    if (node.text.startsWith(old.text)) node.dom.appendData(node.text.slice(old.text.length));
    else node.dom.data = node.text;
    return;
  }
  node.body = old.body;
  patch(node.body, old.children, node.children);
}

/** Make the last children of `parent`, which show `before`, show `after`. Returns `after`. */
export function patch(parent, before, after) {
  for (let index = 0; index < after.length; index += 1) {
    const old = before[index];
    if (old === undefined) parent.append(build(after[index]));
    else if (isSame(old, after[index])) grow(old, after[index]);
    else old.dom.replaceWith(build(after[index]));
  }
  for (const old of before.slice(after.length)) old.dom.remove();
  return after;
}
