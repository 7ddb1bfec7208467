// The overview of all jobs, and the tabs of one that are not about checkpoints.
// -- all jobs

async function showJobs() {
  const [found, overview] = await Promise.all([ask("/jobs/overview"), ask("/overview")]);
  const over = ["FINISHED", "FAILED", "CANCELED", "SUSPENDED"];
  const columns = [
    ["Job", 0, (job) => h("a", { href: "#/job/" + job.jid, "data-key": job.jid }, job.name), "name"],
    ["Status", 0, (job) => badge(job.state)],
    ["Started", 0, (job) => time(job["start-time"])],
    ["Duration", 1, (job) => duration(job.duration)],
    ["Tasks", 0, (job) => {
      const { total, ...tasks } = job.tasks;
      return stateBar(tasks, total);
    }]];
  const running = found.jobs.filter((job) => !over.includes(job.state));
  const ended = found.jobs.filter((job) => over.includes(job.state));
  ended.sort((one, other) => other["end-time"] - one["end-time"]);
  const link = () => ({ class: "link" });
  return ["Jobs", [
    h("div", { class: "cards" },
      card("Running", overview["jobs-running"]), card("Finished", overview["jobs-finished"]),
      card("Cancelled", overview["jobs-cancelled"]), card("Failed", overview["jobs-failed"])),
    h("h2", {}, "Running jobs"),
    running.length ? table(columns, running, { row: link })
      : empty("No job is running. Start one: millpond run job.py"),
    ended.length ? [h("h2", {}, "Jobs that ended while the dashboard was there"),
      table([...columns.slice(0, 3), ["Ended", 0, (job) => time(job["end-time"])],
        ...columns.slice(3)], ended, { row: link })] : null]];
}

// -- one job

async function showJob(id, tab, part) {
  const base = "/jobs/" + id, here = "#/job/" + id;
  const job = await ask(base);
  const runs = job["end-time"] < 0;
  const shown = { "": overviewTab, checkpoints: checkpointsTab, exceptions: exceptionsTab,
    configuration: configurationTab }[tab] || overviewTab;
  const content = await shown(job, base, here, part);
  return [job.name, [
    h("div", { class: "title" }, h("h1", {}, job.name), badge(job.state), h("span", {
      class: "spring" }), runs && actions(job, base)),
    facts(["Started", time(job["start-time"])], !runs && ["Ended", time(job["end-time"])],
      [runs ? "Running for" : "Ran for", duration(job.duration)],
      job["job-type"] === "BATCH" && ["Mode", "batch"],
      ["Id", h("span", { class: "mono" }, job.jid)]),
    message && h("div", { class: "message" + (message.bad ? " bad" : ""), role: "status" },
      message.text),
    tabs([["Overview", here], ["Checkpoints", here + "/checkpoints"],
      ["Exceptions", here + "/exceptions"], ["Configuration", here + "/configuration"]],
      here + (tab ? "/" + tab : "")),
    content]];
}

async function overviewTab(job, base) {
  const marks = await Promise.all(job.vertices.map((vertex) =>
    ask(base + "/vertices/" + vertex.id + "/metrics?get=" + Array.from(
      { length: Math.min(vertex.parallelism, 64) },
      (_, index) => index + ".currentInputWatermark," + index + ".currentOutputWatermark"))));
  const watermark = new Map(job.vertices.map((vertex, index) => [vertex.id,
    marks[index].length === vertex.parallelism
      ? Math.min(...marks[index].map((each) => Number(each.value))) : null]));
  const columns = [
    ["Operators", 0, (vertex) => vertex.name, "name"],
    ["Status", 0, (vertex) => badge(vertex.status)],
    ["Parallelism", 1, (vertex) => vertex.parallelism],
    ["Records received", 1, (vertex) => count(vertex.metrics["read-records"])],
    ["Records sent", 1, (vertex) => count(vertex.metrics["write-records"])],
    ["Low watermark", 1, (vertex) => watermark.get(vertex.id) === null ? "–"
      : time(watermark.get(vertex.id))],
    ["Tasks", 0, (vertex) => stateBar(vertex.tasks, vertex.parallelism)]];
  return [h("div", { class: "panel padded" }, graph(job.plan.nodes, job.vertices)),
    h("h2", {}, "Operators"), table(columns, job.vertices)];
}

// Layers from left to right by the longest way from a source; sources stand beside their readers.
function graph(nodes, vertices) {
  const byId = new Map(nodes.map((node) => [node.id, node])), layer = new Map();
  const depth = (node) => {
    if (!layer.has(node.id)) layer.set(node.id, Math.max(-1,
      ...(node.inputs || []).map((edge) => depth(byId.get(edge.id)))) + 1);
    return layer.get(node.id);
  };
  nodes.forEach(depth);
  for (const node of nodes.filter((each) => !each.inputs)) {
    const readers = nodes.filter((each) => (each.inputs || []).some(({ id }) => id === node.id));
    if (readers.length) layer.set(node.id, Math.min(...readers.map(({ id }) => layer.get(id))) - 1);
  }
  const width = 216, height = 76, gapX = 92, gapY = 22, places = new Map(), sizes = [];
  for (const node of nodes) {
    const column = layer.get(node.id);
    sizes[column] = (sizes[column] || 0) + 1;
    places.set(node.id, [column, sizes[column] - 1]);
  }
  const most = Math.max(...sizes), tall = most * (height + gapY) - gapY;
  const at = (id) => {
    const [column, row] = places.get(id);
    const free = tall - (sizes[column] * (height + gapY) - gapY);
    return [column * (width + gapX) + 1, free / 2 + row * (height + gapY) + 1];
  };
  const total = sizes.length * (width + gapX) - gapX + 2;
  const drawing = s("svg", { width: total, height: tall + 2, viewBox: `0 0 ${total} ${tall + 2}`,
    role: "img", class: "plan", "aria-label": "Plan of the job" });
  drawing.style.minWidth = Math.round(total * 0.7) + "px";
  const labels = [];
  for (const node of nodes) for (const edge of node.inputs || []) {
    const [x1, y1] = at(edge.id), [x2, y2] = at(node.id);
    const from = [x1 + width, y1 + height / 2], to = [x2 - 8, y2 + height / 2];
    const middle = (from[0] + to[0]) / 2;
    drawing.append(s("path", { class: "edge",
      d: `M${from} C${middle},${from[1]} ${middle},${to[1]} ${to}` }));
    drawing.append(s("path", { class: "tip", d: `M${to[0] + 7},${to[1]} l-8,-4.5 v9 z` }));
    labels.push(s("text", { class: "quiet", x: middle, y: (from[1] + to[1]) / 2 - 7,
      "text-anchor": "middle" }, edge.ship_strategy.toLowerCase()));
  }
  drawing.append(...labels);
  const state = new Map(vertices.map((vertex) => [vertex.id, vertex]));
  for (const node of nodes) {
    const [x, y] = at(node.id), vertex = state.get(node.id), lines = wrap(node.description, 26, 2);
    drawing.append(s("g", {}, s("title", {}, node.description),
      s("rect", { class: "node", x, y, width, height, rx: 9 }),
      lines.map((line, index) => s("text", { x: x + 13, y: y + 23 + 17 * index }, line)),
      s("text", { class: "quiet", x: x + 13, y: y + height - 11 },
        `× ${node.parallelism}  ·  ${vertex.status.toLowerCase()}`)));
  }
  return drawing;
}
function wrap(text, width, most) {
  const lines = [];
  let rest = text;
  while (rest && lines.length < most) {
    let cut = rest.length <= width ? rest.length : rest.lastIndexOf(" ", width);
    if (cut < width / 2) cut = Math.min(width, rest.length);
    lines.push(rest.slice(0, cut));
    rest = rest.slice(cut).trimStart();
  }
  if (rest) lines[most - 1] = lines[most - 1].slice(0, width - 1) + "…";
  return lines;
}

// -- exceptions and configuration

async function exceptionsTab(_, base) {
  const { entries, truncated } = (await ask(base + "/exceptions")).exceptionHistory;
  if (!entries.length) return empty("No attempt of this job has failed.");
  return [h("div", { class: "panel" }, entries.map((each) => {
    const key = "e" + each.timestamp;
    return h("details", { open: opened.has(key) && "", ontoggle: (event) =>
      event.target.open ? opened.add(key) : opened.delete(key) },
      h("summary", { "data-key": key }, time(each.timestamp), "  ", h("b", {}, each.exceptionName),
        each.taskName && h("span", { class: "note" }, " in " + each.taskName),
        h("div", { class: "note" }, each.stacktrace.trim().split("\n").pop().slice(0, 200))),
      h("pre", {}, each.stacktrace));
  })), truncated && h("p", { class: "note" }, "There were more; the newest are shown.")];
}

async function configurationTab(_, base) {
  const [found, options] = await Promise.all([ask(base + "/config"),
    ask(base + "/jobmanager/config")]);
  const execution = found["execution-config"];
  const parameters = Object.entries(execution["user-config"]);
  return [pairs([["Restart strategy", execution["restart-strategy"]],
    ["Default parallelism", execution["job-parallelism"]],
    ["Mode", execution["execution-mode"].toLowerCase()]]),
    h("h2", {}, "Options that are set"),
    options.length ? pairs(options.map(({ key, value }) =>
      [h("span", { class: "mono" }, key), h("span", { class: "mono" }, value)]))
      : empty("None: every option has its default."),
    parameters.length ? [h("h2", {}, "Parameters of the job"), pairs(parameters)] : null];
}
