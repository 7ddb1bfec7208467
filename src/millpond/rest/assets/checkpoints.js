// The tab with the checkpoints of a job.
// -- checkpoints

async function checkpointsTab(job, base, here, part) {
  const found = await orNothing(ask(base + "/checkpoints"));
  if (!found) return empty("Checkpointing has not been enabled for this job.");
  const root = here + "/checkpoints";
  const parts = { "": lately, history: pastCheckpoints, summary, settings: checkpointSettings };
  const shown = await (parts[part] || lately)(found, base, job);
  return [tabs([["Latest", root], ["History", root + "/history"], ["Summary", root + "/summary"],
    ["Configuration", root + "/settings"]], root + (part ? "/" + part : ""), true), shown];
}

function lately(found) {
  const { counts, latest } = found;
  const one = (label, each, rest) => each
    ? card(label, "#" + each.id, ...rest(each)) : card(label, "none");
  const done = (each) => [
    h("span", {}, time(each.latest_ack_timestamp), ", after ", duration(each.end_to_end_duration)),
    "wrote " + bytes(each.checkpointed_size) + " of " + bytes(each.state_size),
    each.external_path && h("span", { class: "mono" }, each.external_path)];
  return [
    h("div", { class: "cards" }, card("Triggered", count(counts.total)),
      card("In progress", count(counts.in_progress)), card("Completed", count(counts.completed)),
      card("Failed", count(counts.failed)), card("Restored", count(counts.restored))),
    h("h2", {}, "Latest"),
    h("div", { class: "cards" },
      one("Completed checkpoint", latest.completed, done),
      one("Savepoint", latest.savepoint, done),
      one("Failed", latest.failed, (each) => [time(each.failure_timestamp), each.failure_message]),
      one("Restored from", latest.restored, (each) => [time(each.restore_timestamp),
        h("span", { class: "mono" }, each.external_path)])),
    found.history.length ? [h("h2", {}, "Data sizes"), sizeChart(found.history)] : null];
}

// Pale: the full state; dark: what the checkpoint wrote. Oldest on the left.
function sizeChart(newestFirst) {
  const shown = newestFirst.slice(0, 40).reverse(), height = 120, step = 34, left = 78;
  const most = Math.max(1, ...shown.map((each) => each.state_size));
  const width = left + shown.length * step + 10;
  const drawing = s("svg", { width, height: height + 34, role: "img",
    viewBox: `0 0 ${width} ${height + 34}`, "aria-label": "Data sizes of the newest checkpoints" });
  drawing.append(s("text", { class: "quiet", x: left - 10, y: 14, "text-anchor": "end" },
    bytes(most)), s("text", { class: "quiet", x: left - 10, y: height + 6, "text-anchor": "end" },
    "0"));
  shown.forEach((each, index) => {
    const x = left + index * step, full = height * each.state_size / most;
    const now = height * Math.min(each.checkpointed_size, most) / most;
    const failed = each.status === "FAILED";
    drawing.append(s("g", {}, s("title", {}, `#${each.id}: ${bytes(each.checkpointed_size)} ` +
      `written, ${bytes(each.state_size)} in all, ${each.status.toLowerCase()}`),
      s("rect", { class: "full", x, y: height + 4 - full, width: 20, height: full, rx: 3 }),
      s("rect", { class: failed ? "failed" : "now", x, y: height + 4 - Math.max(now, 1.5),
        width: 20, height: Math.max(now, 1.5), rx: 3 })),
      s("text", { class: "quiet", x: x + 10, y: height + 24, "text-anchor": "middle" }, each.id));
  });
  return h("div", { class: "panel padded" },
    h("div", { class: "note" },
      h("span", { class: "legend" }, h("span", { class: "swatch now" }), "Checkpointed Data Size"),
      h("span", { class: "legend" }, h("span", { class: "swatch full" }),
        "Full Checkpoint Data Size")), drawing);
}

const typeOf = (each) => each.is_savepoint
  ? "savepoint" + (each.savepointFormat ? ", " + each.savepointFormat.toLowerCase() : "")
  : each.checkpoint_type === "UNALIGNED_CHECKPOINT" ? "unaligned checkpoint" : "checkpoint";

async function pastCheckpoints(found, base, job) {
  if (!found.history.length) return empty("No checkpoint has been triggered yet.");
  const details = new Map();
  await Promise.all(found.history.filter((each) => opened.has("c" + each.id)).map(async (each) => {
    details.set(each.id, await orNothing(ask(`${base}/checkpoints/details/${each.id}`)));
    await Promise.all(job.vertices.map(async (vertex) => {
      const key = `c${each.id}/${vertex.id}`;
      if (opened.has(key)) details.set(key, await orNothing(
        ask(`${base}/checkpoints/details/${each.id}/subtasks/${vertex.id}`)));
    }));
  }));
  const columns = [
    ["", 0, (each) => opener("c" + each.id, "Details of checkpoint " + each.id)],
    ["Id", 0, (each) => each.id],
    ["Status", 0, (each) => badge(each.status)],
    ["Acknowledged", 1, (each) => `${each.num_acknowledged_subtasks}/${each.num_subtasks}`],
    ["Trigger time", 0, (each) => time(each.trigger_timestamp)],
    ["Duration", 1, (each) => duration(each.end_to_end_duration)],
    ["Checkpointed Data Size", 1, (each) => bytes(each.checkpointed_size)],
    ["Full Checkpoint Data Size", 1, (each) => bytes(each.state_size)],
    ["Type", 0, typeOf]];
  return table(columns, found.history, { below: (each) => {
    const detail = details.get(each.id);
    return detail && h("tr", {}, h("td", { class: "wide", colspan: columns.length },
      h("div", { class: "nested" }, oneCheckpoint(detail, details, job))));
  } });
}

function oneCheckpoint(detail, details, job) {
  const rows = job.vertices.map((vertex) => ({ vertex, ...detail.tasks[vertex.id] }));
  const columns = [
    ["", 0, (each) => opener(`c${detail.id}/${each.vertex.id}`, "Subtasks of " + each.vertex.name)],
    ["Operators", 0, (each) => each.vertex.name, "name"],
    ["Acknowledged", 1, (each) => `${each.num_acknowledged_subtasks}/${each.num_subtasks}`],
    ["Latest acknowledgement", 0, (each) => time(each.latest_ack_timestamp)],
    ["Duration", 1, (each) => duration(each.end_to_end_duration)],
    ["Checkpointed Data Size", 1, (each) => bytes(each.checkpointed_size)],
    ["Full Checkpoint Data Size", 1, (each) => bytes(each.state_size)]];
  return [
    detail.external_path && facts(["Path", h("span", { class: "mono" }, detail.external_path)],
      detail.discarded && ["Deleted", "yes, newer ones took its place"]),
    detail.failure_message && facts(["Failed", detail.failure_message]),
    table(columns, rows, { below: (each) => {
      const found = details.get(`c${detail.id}/${each.vertex.id}`);
      return found && h("tr", {}, h("td", { class: "wide", colspan: columns.length },
        h("div", { class: "nested" }, subtasksOf(found))));
    } })];
}

function subtasksOf(found) {
  const done = (cell) => (each) => each.status === "completed" ? cell(each) : "–";
  return table([
    ["Subtask", 0, (each) => each.index + 1],
    ["Acknowledged", 0, done((each) => time(each.ack_timestamp))],
    ["Duration", 1, done((each) => duration(each.end_to_end_duration))],
    ["Checkpointed Data Size", 1, done((each) => bytes(each.checkpointed_size))],
    ["Full Checkpoint Data Size", 1, done((each) => bytes(each.state_size))],
    ["Sync", 1, done((each) => duration(each.checkpoint.sync))],
    ["Async", 1, done((each) => duration(each.checkpoint.async))],
    ["Alignment", 1, done((each) => duration(each.alignment.duration))],
    ["Persisted in flight", 1, done((each) => bytes(each.alignment.persisted))],
    ["Start delay", 1, done((each) => duration(each.start_delay))]],
    found.subtasks);
}

function summary(found) {
  const rows = [["Checkpointed Data Size", found.summary.checkpointed_size, bytes],
    ["Full Checkpoint Data Size", found.summary.state_size, bytes],
    ["End to end duration", found.summary.end_to_end_duration, duration],
    ["Persisted in-flight data", found.summary.persisted_data, bytes]];
  const names = [["Minimum", "min"], ["Average", "avg"], ["Maximum", "max"], ["50 %", "p50"],
    ["90 %", "p90"], ["95 %", "p95"], ["99 %", "p99"], ["99.9 %", "p999"]];
  return [table([["Of completed checkpoints", 0, (row) => row[0]],
    ...names.map(([label, name]) => [label, 1, (row) => row[2](row[1][name])])], rows), h("p", { class: "note" },
    "Savepoints count too. Percentiles are values that were there, of the newest 10,000.")];
}

async function checkpointSettings(_, base) {
  const found = await ask(base + "/checkpoints/config"), outside = found.externalization;
  const yes = (value) => value ? "yes" : "no";
  return pairs([["Mode", found.mode.replaceAll("_", " ")],
    ["State backend", found.state_backend], ["Checkpoint storage", found.checkpoint_storage],
    ["Interval", found.interval > 1e15 ? "none: only on request" : duration(found.interval)],
    ["Timeout", duration(found.timeout)],
    ["Minimum pause between checkpoints", duration(found.min_pause)],
    ["At once", found.max_concurrent],
    ["Failures that are tolerated", found.tolerable_failed_checkpoints],
    ["Unaligned", yes(found.unaligned_checkpoints)],
    found.unaligned_checkpoints && ["Aligned at most for",
      duration(found.aligned_checkpoint_timeout)],
    ["Kept when the job is cancelled",
      yes(outside.enabled && !outside.delete_on_cancellation)]]);
}
function pairs(rows) {
  return h("div", { class: "panel" }, h("table", {}, h("tbody", {}, rows.filter(Boolean).map(
    ([name, value]) => h("tr", {}, h("td", {}, name), h("td", { class: "name" }, value))))));
}
