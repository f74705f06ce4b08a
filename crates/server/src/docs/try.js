// Tries a route of the API from its documentation: fills in, sends with the session of the page, shows the answer.
// Whatever the desk answers is shown as text, never as markup.

/** What was typed, by where it goes. */
function read(form) {
  const found = { path: form.dataset.path, query: new URLSearchParams(), headers: new Headers() };
  for (const field of form.querySelectorAll("[data-in]")) {
    const value = field.value.trim();
    if (field.dataset.in === "path") {
      found.path = found.path.replace(`{${field.name}}`, encodeURIComponent(value));
    } else if (value !== "" && field.dataset.in === "query") {
      found.query.append(field.name, value);
    } else if (value !== "" && field.dataset.in === "header") {
      found.headers.set(field.name, value);
    }
  }
  const query = found.query.toString();
  return { url: query === "" ? found.path : `${found.path}?${query}`, headers: found.headers };
}

/** JSON in lines; whatever is none as it is. */
function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

const SHOWN = ["content-type", "x-request-id", "ratelimit", "retry-after", "idempotency-replayed", "deprecation", "sunset", "link"];

async function send(form) {
  const { url, headers } = read(form);
  const body = form.querySelector("textarea");
  if (body !== null) headers.set("Content-Type", "application/json");
  const said = form.querySelector("output");
  said.textContent = "Sending…";
  const began = performance.now();
  try {
    const answer = await fetch(url, {
      method: form.dataset.method,
      headers,
      body: body === null ? undefined : body.value,
      credentials: "same-origin",
      redirect: "error",
    });
    const text = await answer.text();
    const took = Math.round(performance.now() - began);
    const lines = [`${form.dataset.method} ${url}`, `${answer.status} ${answer.statusText} (${took} ms)`];
    for (const name of SHOWN) {
      if (answer.headers.has(name)) lines.push(`${name}: ${answer.headers.get(name)}`);
    }
    said.textContent = `${lines.join("\n")}\n\n${pretty(text)}`;
  } catch (error) {
    said.textContent = `The desk did not answer: ${error.message}`;
  }
}

for (const part of document.querySelectorAll("details.try")) {
  part.hidden = false;
  const form = part.querySelector("form");
  // What such a key may look like; without one each press is a write of its own.
  const key = form.querySelector('[name="Idempotency-Key"]');
  if (key !== null) key.placeholder = "as " + crypto.randomUUID();
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    button.disabled = true;
    void send(form).finally(() => {
      button.disabled = false;
    });
  });
}
