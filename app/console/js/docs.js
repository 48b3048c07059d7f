// Lists the operations of /openapi.json by tag. Everything is set as text, nothing as HTML.
const METHODS = ["get", "post", "put", "patch", "delete"];

function element(name, text, ...children) {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  made.append(...children);
  return made;
}

function resolve(schema, document) {
  const name = schema?.$ref?.split("/").pop();
  return name ? { name, ...document.components.schemas[name] } : schema;
}

function fields(schema, document) {
  const found = resolve(schema, document);
  if (!found?.properties) return element("p", found?.title ?? found?.type ?? "");
  const list = element("ul");
  for (const [name, property] of Object.entries(found.properties)) {
    const told = resolve(property, document);
    const kind = told.name ?? told.type ?? (told.anyOf ?? told.oneOf ?? []).map((one) => resolve(one, document))
      .map((one) => one.name ?? one.type).join(" | ");
    const needed = (found.required ?? []).includes(name) ? " (required)" : "";
    list.append(element("li", "", element("code", name), ` ${kind}${needed} ${told.description ?? ""}`));
  }
  return element("div", "", element("p", found.name ?? found.title ?? ""), list);
}

function operation(path, method, told, document) {
  const summary = element("summary", "", element("b", method.toUpperCase(), ), " ", element("code", path), " ");
  summary.append((told.description ?? told.summary ?? "").split("\n")[0]);
  const box = element("details", "", summary, element("p", told.description ?? ""));
  const parameters = element("ul");
  for (const each of told.parameters ?? []) {
    parameters.append(element("li", "", element("code", each.name), ` in ${each.in}. ${each.description ?? ""}`));
  }
  if (parameters.childElementCount) box.append(element("h3", "Parameters"), parameters);
  const body = told.requestBody?.content?.["application/json"]?.schema;
  if (body) box.append(element("h3", "Body"), fields(body, document));
  const answers = element("ul");
  for (const [status, answer] of Object.entries(told.responses)) {
    answers.append(element("li", "", element("b", status), ` ${answer.description}`));
  }
  box.append(element("h3", "Answers"), answers);
  return box;
}

async function show() {
  const place = document.getElementById("operations");
  try {
    const api = await (await fetch("/openapi.json")).json();
    place.replaceChildren();
    for (const tag of api.tags) {
      place.append(element("h2", tag.name), element("p", tag.description));
      for (const [path, methods] of Object.entries(api.paths)) {
        for (const method of METHODS) {
          if (methods[method]?.tags?.includes(tag.name)) place.append(operation(path, method, methods[method], api));
        }
      }
    }
  } catch (error) {
    place.replaceChildren(element("p", `The document cannot be read: ${error.message}`));
  }
}

show();
