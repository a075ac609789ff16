// Shows openapi.json for reading. No framework, nothing from outside; texts are set as text, never as HTML.
"use strict";

let model;

// ------------------------------------------------------------------------------------------ building blocks

// make("p.quiet", "text", element, ...): an element with classes and children; null children are left out.
function make(name, ...children) {
  const [tag, ...classes] = name.split(".");
  const element = document.createElement(tag);
  if (classes.length) element.className = classes.join(" ");
  for (const child of children.flat()) if (child !== null && child !== undefined) element.append(child);
  return element;
}

function link(href, ...children) {
  const element = make("a", ...children);
  element.href = href;
  return element;
}

// The little Markdown of the document: `code` and **bold** within a line, blank lines between paragraphs, "- " lists.
function inline(text) {
  return text.split(/(`[^`]+`|\*\*[^*]+\*\*)/).filter(Boolean).map((piece) => {
    if (piece.startsWith("`")) return make("code", piece.slice(1, -1));
    if (piece.startsWith("**")) return make("strong", piece.slice(2, -2));
    return piece;
  });
}

function prose(text) {
  return (text || "").trim().split(/\n\s*\n/).filter(Boolean).map((block) => {
    const lines = block.split("\n");
    if (lines.every((line) => /^\s*- |^\s{2,}\S/.test(line)) && /^\s*- /.test(lines[0])) {
      const points = block.split(/^\s*- /m).filter((point) => point.trim());
      return make("ul", points.map((point) => make("li", inline(point.trim()))));
    }
    return make("p", inline(block));
  });
}

function resolve(schema) {
  if (!schema || !schema.$ref) return schema;
  return schema.$ref.slice(2).split("/").reduce((place, step) => place[decodeURIComponent(step)], model);
}

const nameOf = (schema) => (schema && schema.$ref ? schema.$ref.split("/").pop() : null);
const anchor = (operation) => operation.operationId.replaceAll(".", "-");

// ------------------------------------------------------------------------------------------ types

function kinds(schema) {
  return [schema.type || []].flat();
}

// A type in a few words: "string or null", "list of Feedback", "time".
function typeText(schema) {
  if (!schema) return "anything";
  if (schema.$ref) return nameOf(schema);
  const choices = schema.anyOf || schema.oneOf;
  if (choices) return choices.map(typeText).join(" or ");
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  const words = kinds(schema).map((kind) => {
    if (kind === "array") return `list of ${typeText(schema.items)}`;
    if (kind === "string" && schema.format) return { uuid: "UUID", "date-time": "time" }[schema.format] || schema.format;
    if (kind === "object" && schema.additionalProperties && schema.additionalProperties.type)
      return `object of ${typeText(schema.additionalProperties)}`;
    return kind;
  });
  return words.join(" or ") || "anything";
}

function limits(schema) {
  const said = [];
  if (schema.minimum !== undefined && schema.maximum !== undefined) said.push(`${schema.minimum} to ${schema.maximum}`);
  if (schema.maxLength !== undefined) said.push(`${schema.minLength || 0} to ${schema.maxLength} characters`);
  if (schema.maxItems !== undefined) said.push(`at most ${schema.maxItems.toLocaleString("en")}`);
  const plain = schema.default;
  if (plain !== undefined && plain !== "" && JSON.stringify(plain) !== "{}" && JSON.stringify(plain) !== "[]")
    said.push(`default ${JSON.stringify(plain)}`);
  return said.join(", ");
}

// The structs that a schema leads to: itself where it is one, else what it is a list or a choice of.
function structsIn(schema) {
  if (!schema) return [];
  if (schema.$ref) return [schema.$ref];
  return [...(schema.anyOf || []), ...(schema.oneOf || []), schema.items, schema.additionalProperties]
    .filter((part) => part && typeof part === "object")
    .flatMap(structsIn);
}

// `required` is null where the server says the field: it is there, or its type says that it may be null.
function fieldRow(name, schema, required) {
  const row = make(
    "div.field",
    make(
      "div.signature",
      make("code.name", name),
      make("span.type", typeText(schema)),
      required ? make("span.required", "required") : null,
      limits(schema) ? make("span.limits", limits(schema)) : null,
    ),
    schema.description ? make("div.meaning", prose(schema.description)) : null,
  );
  for (const ref of structsIn(schema)) row.append(fold(ref, required !== null));
  return row;
}

// A struct that opens where it stands; its fields are built when it is first opened, so that a filter may hold itself.
function fold(ref, asked) {
  const struct = resolve({ $ref: ref });
  if (!struct.properties) return make("span");
  const details = make("details.fold", make("summary", "fields of ", make("code", nameOf({ $ref: ref }))));
  details.addEventListener("toggle", () => {
    if (details.open && details.children.length === 1) details.append(fields(struct, asked));
  });
  return details;
}

function fields(struct, asked) {
  const required = new Set(struct.required || []);
  return make(
    "div.fields",
    struct.description ? make("div.about", prose(struct.description)) : null,
    Object.entries(struct.properties || {}).map(([name, schema]) => fieldRow(name, schema, asked ? required.has(name) : null)),
  );
}

function shape(schema, asked) {
  if (!schema || !Object.keys(schema).length) return null;
  const struct = schema.$ref ? resolve(schema) : null;
  if (struct && struct.properties) return fields(struct, asked);
  return make(
    "div.fields",
    make("div.field", make("div.signature", make("span.type", typeText(schema)), make("span.limits", limits(schema))),
      schema.description ? make("div.meaning", prose(schema.description)) : null,
      structsIn(schema).map((ref) => fold(ref, asked))),
  );
}

// ------------------------------------------------------------------------------------------ operations

function section(title, ...children) {
  return make("section.part", make("h4", title), ...children);
}

function parameters(operation) {
  const given = operation.parameters || [];
  if (!given.length) return null;
  const groups = [["path", "Path"], ["query", "Query parameters"]];
  return groups.map(([place, title]) => {
    const here = given.filter((parameter) => parameter.in === place);
    if (!here.length) return null;
    const rows = here.map((parameter) => {
      const schema = { ...parameter.schema, description: parameter.description };
      const row = fieldRow(parameter.name, schema, parameter.required);
      if (parameter.schema.type === "array") row.firstChild.append(make("span.limits", "may be repeated"));
      return row;
    });
    return section(title, make("div.fields", rows));
  });
}

function body(operation) {
  const content = operation.requestBody && operation.requestBody.content;
  if (!content) return null;
  return Object.entries(content).map(([kind, shown]) =>
    section(["Body ", make("span.kind", kind)], shape(shown.schema, true)));
}

function answers(operation) {
  const good = Object.entries(operation.responses).filter(([status]) => status < 400);
  return good.map(([status, answer]) => {
    const contents = Object.entries(answer.content || {});
    const alike = contents.every(([, shown]) => JSON.stringify(shown) === JSON.stringify(contents[0][1]));
    const kind = contents.map(([name]) => name).join(", ");
    return section(
      [`Answer ${status} `, make("span.kind", kind)],
      // A struct says itself what it is.
      contents[0]?.[1].schema?.$ref ? null : make("div.about", prose(answer.description)),
      (alike ? contents.slice(0, 1) : contents).map(([, shown]) => shape(shown.schema, false)),
    );
  });
}

function refusals(operation) {
  const bad = Object.entries(operation.responses).filter(([status]) => status >= 400);
  const rows = bad.map(([status, answer]) =>
    make("div.refusal", make("code", status), make("span", inline(resolve(answer).description))));
  return make("details.fold.errors", make("summary", `errors: ${bad.map(([status]) => status).join(", ")}`),
    make("div.fields", rows, make("div.field", make("div.signature", make("span.type", "ErrorBody")),
      fold("#/components/schemas/ErrorBody", false))));
}

// JSON with short values on one line.
function pretty(value, indent = "") {
  const flat = JSON.stringify(value, null, 1).replace(/\n\s*/g, " ");
  if (typeof value !== "object" || value === null || flat.length + indent.length < 64) return flat;
  const deeper = `${indent}  `;
  const list = Array.isArray(value);
  const parts = list ? value.map((part) => pretty(part, deeper))
    : Object.entries(value).map(([key, part]) => `${JSON.stringify(key)}: ${pretty(part, deeper)}`);
  const [open, close] = list ? "[]" : "{}";
  return `${open}\n${parts.map((part) => deeper + part).join(",\n")}\n${indent}${close}`;
}

function curl(method, path, operation) {
  const lines = [`curl ${method === "get" ? "" : `-X ${method.toUpperCase()} `}"${location.origin}${path}"`];
  if (!operation.security || operation.security.length) lines.push('-H "Authorization: Bearer $AFTERWORD_API_KEY"');
  const [first] = Object.entries((operation.requestBody && operation.requestBody.content) || {});
  if (first) {
    const [kind, { example }] = first;
    const streams = kind.includes("ndjson");
    const text = streams ? example.map((line) => JSON.stringify(line)).join("\n") : pretty(example);
    lines.push(`-H "Content-Type: ${kind}"`, `${streams ? "--data-binary" : "--data"} '${text.replaceAll("'", "'\\''")}'`);
  }
  const text = lines.join(" \\\n  ");
  const copy = make("button", "Copy");
  copy.type = "button";
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(text);
    copy.textContent = "Copied";
    setTimeout(() => (copy.textContent = "Copy"), 1500);
  });
  return make("div.curl", make("pre", make("code", text)), navigator.clipboard ? copy : null);
}

function pathText(path) {
  return path.split(/(\{\w+\})/).filter(Boolean).map((piece) => (piece.startsWith("{") ? make("var", piece) : piece));
}

function operationCard({ method, path, operation }) {
  const head = make("h3", make(`span.method.${method}`, method.toUpperCase()), " ", link(`#${anchor(operation)}`,
    make("code.path", pathText(path))));
  const card = make(
    "article.operation",
    head,
    make("p.summary", inline(`${operation.summary}.`)),
    make("div.description", prose(operation.description)),
    curl(method, path, operation),
    parameters(operation),
    body(operation),
    answers(operation),
    refusals(operation),
  );
  card.id = anchor(operation);
  return card;
}

// ------------------------------------------------------------------------------------------ the page

function operations() {
  return Object.entries(model.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method, path, operation })));
}

function contents(all) {
  const search = make("input");
  search.type = "search";
  search.placeholder = "Find a route";
  search.setAttribute("aria-label", "Find a route");
  const groups = model.tags.map((tag) =>
    make("div.group", link(`#${tag.name}`, make("strong", tag.name)), make("ul", all
      .filter(({ operation }) => operation.tags.includes(tag.name))
      .map(({ method, path, operation }) => {
        const row = make("li", link(`#${anchor(operation)}`, make(`span.method.${method}`, method.toUpperCase()), " ",
          make("span.path", path.replace("/api/v1", ""))));
        row.dataset.words = `${method} ${path} ${operation.summary} ${operation.operationId}`.toLowerCase();
        return row;
      }))));
  search.addEventListener("input", () => {
    const wanted = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const group of groups) {
      const rows = [...group.querySelectorAll("li")];
      for (const row of rows) row.hidden = !wanted.every((word) => row.dataset.words.includes(word));
      group.hidden = rows.every((row) => row.hidden);
    }
  });
  return [make("a.brand", "Afterword ", make("span.quiet", model.info.version)), search, ...groups];
}

function show() {
  const all = operations();
  const nav = document.getElementById("contents");
  nav.append(...contents(all));
  nav.querySelector(".brand").href = "#top";
  const page = document.getElementById("page");
  page.replaceChildren(
    make("header", make("h1", "The REST interface"), prose(model.info.description.split("\n\n").slice(1).join("\n\n")),
      make("p.quiet", "The document itself, OpenAPI 3.1: ", link("openapi.json", "openapi.json"))),
    ...model.tags.flatMap((tag) => {
      const title = make("h2", tag.name);
      title.id = tag.name;
      return [title, make("p.lead", inline(tag.description)),
        ...all.filter(({ operation }) => operation.tags.includes(tag.name)).map(operationCard)];
    }),
  );
  page.querySelector("header").id = "top";
  if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

fetch("openapi.json")
  .then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error(`HTTP status ${answer.status}`))))
  .then((found) => {
    model = found;
    show();
  })
  .catch((error) => {
    document.getElementById("page").replaceChildren(make("p", `openapi.json cannot be read: ${error.message}`));
  });
