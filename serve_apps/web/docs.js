// The interface's page, drawn from /openapi.json: what each route takes and answers, and a form to try it.

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

let schemas = {}, refusals = {};
const named = (reference) => reference.split("/").pop();

function typeName(schema = {}) {
  if (schema.$ref) return named(schema.$ref);
  if (schema.anyOf) return schema.anyOf.map(typeName).join(" or ");
  if (schema.type === "array") return `list of ${typeName(schema.items)}`;
  if (schema.type === "object" && schema.additionalProperties) return `object of ${typeName(schema.additionalProperties)}`;
  const limits = [["minimum", "from"], ["maximum", "to"], ["maxLength", "at most, characters:"]]
    .filter(([key]) => schema[key] !== undefined).map(([key, word]) => `${word} ${schema[key]}`);
  return [schema.type || "any", ...limits].join(" ");
}

function table(rows) {
  const head = make("tr", {}, ...["name", "type", "", "meaning"].map((name) => make("th", {}, name)));
  return make("table", {}, head, ...rows.map((cells) => make("tr", {}, ...cells.map((cell) => make("td", {}, cell)))));
}

function fields(schema) {
  const required = schema.required || [];
  return table(Object.entries(schema.properties || {}).map(([name, field]) =>
    [name, typeName(field), required.includes(name) ? "required" : "", field.description || ""]));
}

function schemaPart(title, schema) {
  const target = schema?.$ref || schema?.items?.$ref;
  const parts = [make("h3", {}, `${title}: ${typeName(schema)}`)];
  if (target && schemas[named(target)]) parts.push(fields(schemas[named(target)]));
  return parts;
}

function form(path, verb, operation) {
  const inputs = (operation.parameters || []).map((parameter) => {
    const input = make("input", { class: "find", name: parameter.name, value: parameter.schema?.default ?? "" });
    return { parameter, input, label: make("label", {}, parameter.name, input) };
  });
  const bodySchema = operation.requestBody?.content?.["application/json"]?.schema;
  const example = bodySchema && schemas[named(bodySchema.$ref)]?.examples?.[0];
  const body = bodySchema && make("textarea", { rows: "6", "aria-label": "Request body" });
  if (body) body.value = JSON.stringify(example || {}, null, 2);
  const output = make("pre", { hidden: "", "aria-live": "polite" });
  const element = make("form", {}, ...inputs.map((row) => row.label), ...(body ? [body] : []), make("button", {}, "Send"), output);
  element.addEventListener("submit", async (event) => {
    event.preventDefault();
    let address = path;
    const query = new URLSearchParams(), headers = {};
    for (const { parameter, input } of inputs) {
      if (parameter.in === "path") address = address.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
      else if (input.value && parameter.in === "header") headers[parameter.name] = input.value;
      else if (input.value) query.set(parameter.name, input.value);
    }
    if ([...query].length) address += `?${query}`;
    const options = { method: verb.toUpperCase(), headers };
    if (body) Object.assign(options, { body: body.value, headers: { ...headers, "Content-Type": "application/json" } });
    output.hidden = false;
    try {
      const answer = await fetch(address, options);
      const kind = answer.headers.get("content-type") || "";
      const text = kind.includes("json") ? JSON.stringify(await answer.json(), null, 2) : `${kind}, ${(await answer.blob()).size} bytes`;
      output.textContent = `${answer.status} ${address}\n${text}`;
    } catch (error) {
      output.textContent = `no answer: ${error.message}`;
    }
  });
  return element;
}

function route(path, verb, operation) {
  const card = make("section", { class: "route" });
  card.append(make("h2", {}, make("span", { class: "verb" }, verb.toUpperCase()), path), make("div", {}, operation.description || ""));
  if (operation.parameters) {
    card.append(make("h3", {}, "Parameters"), table(operation.parameters.map((p) =>
      [p.name, typeName(p.schema), p.required ? "required" : "", p.description || p.schema?.description || ""])));
  }
  const request = operation.requestBody?.content?.["application/json"]?.schema;
  if (request) card.append(...schemaPart("Request", request));
  const success = operation.responses["200"]?.content || {};
  if (success["application/json"]) card.append(...schemaPart("Answer", success["application/json"].schema));
  else card.append(make("h3", {}, `Answer: ${Object.keys(success).join(", ")}`));
  const errors = Object.entries(operation.responses).filter(([code]) => Number(code) >= 400).map(([code, r]) => `${code} ${(refusals[named(r.$ref || "")] || r).description}`);
  if (errors.length) card.append(make("p", {}, `Refuses with: ${errors.join(" · ")} (application/problem+json)`));
  card.append(form(path, verb, operation));
  return card;
}

async function start() {
  const description = await (await fetch("/openapi.json")).json();
  ({ schemas, responses: refusals } = description.components);
  const cards = Object.entries(description.paths).flatMap(([path, verbs]) =>
    Object.entries(verbs).map(([verb, operation]) => route(path, verb, operation)));
  document.getElementById("docs").replaceChildren(make("p", {}, description.info.description), ...cards);
}

start().catch((error) => { document.getElementById("docs").textContent = `The interface can't be read: ${error.message}`; });
