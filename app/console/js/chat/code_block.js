// A block of code with its language and a button that copies it.

/** A node for `patch`: the code may grow; the button copies what stands when it is pressed. */
export function codeBlock(code, language) {
  const attrs = { dir: "ltr", tabindex: "0", "aria-label": language ? `Code, ${language}` : "Code" };
  return { tag: "pre", key: language, attrs, children: [{ text: code }], make: () => make(language) };
}

function make(language) {
  const element = document.createElement("figure");
  element.className = "code-block";
  const head = document.createElement("figcaption");
  const name = document.createElement("span");
  name.textContent = language || "code";
  const copy = document.createElement("button");
  copy.type = "button";
  copy.className = "code-copy";
  copy.textContent = "Copy";
  copy.setAttribute("aria-label", language ? `Copy the ${language} code` : "Copy the code");
  const body = document.createElement("pre");
  copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(body.textContent);
      copy.textContent = "Copied";
    } catch {
      copy.textContent = "Not copied";
    }
    setTimeout(() => (copy.textContent = "Copy"), 1600);
  });
  head.append(name, copy);
  element.append(head, body);
  return { element, body };
}
