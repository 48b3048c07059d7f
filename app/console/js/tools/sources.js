// Where tools come from, and what their states mean.

export const STATES = {
  on: { name: "On", kind: "accent", help: "" },
  changed: { name: "Changed", kind: "warning", help: "The server says something else about it than what was approved. It is off until it is approved again." },
  unapproved: { name: "New", kind: "warning", help: "The server has added it. It is off until it is approved." },
  gone: { name: "Gone", kind: "", help: "The server does not list it now. It comes back by itself." },
  left_out: { name: "Left out", kind: "danger", help: "The server describes it in a way that no model can be told." },
};

/** Tools by what an admin made: `{made: [{name, type, tools}], python}`. */
export function sourcesOf(tools) {
  const made = new Map();
  for (const tool of tools) {
    if (tool.type === "python") continue;
    const name = tool.type === "mcp" ? tool.name.split("/")[0] : tool.name;
    if (!made.has(name)) made.set(name, { name, type: tool.type, tools: [] });
    made.get(name).tools.push(tool);
  }
  return { made: [...made.values()], python: tools.filter(({ type }) => type === "python") };
}
