"use strict";
// Everything that comes from a job is put in as text, never as markup.
const main = document.getElementById("main"), note = document.getElementById("note");
const dialog = document.getElementById("dialog");
const SVG = "http://www.w3.org/2000/svg";
const opened = new Set();
let config = null, message = null, turn = 0, timer = 0;

const fragment = /^#token=([\x21-\x7e]+)$/.exec(location.hash);
if (fragment) {
  sessionStorage.setItem("token", fragment[1]);
  history.replaceState(null, "", "#/");
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value);
  }
  for (const child of children.flat(9)) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return node;
}
const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
const s = (tag, attributes, ...children) =>
  fill(document.createElementNS(SVG, tag), attributes, children);

// -- asking

async function ask(path, method = "GET", body) {
  const headers = {}, token = sessionStorage.getItem("token");
  if (token) headers.Authorization = "Bearer " + token;
  if (body) headers["Content-Type"] = "application/json";
  const answer = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
  const found = await answer.json().catch(() => ({}));
  if (!answer.ok) {
    const error = new Error(answer.status === 401
      ? "Open the URL that millpond dashboard has printed: the token that this needs stands in it."
      : (found.errors || ["Error " + answer.status]).join(" "));
    error.status = answer.status;
    throw error;
  }
  return found;
}
const orNothing = (promise) => promise.catch((error) => {
  if (error.status === 404) return null;
  throw error;
});
