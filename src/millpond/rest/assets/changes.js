// Buttons that do something to a job.
// -- changes

function actions(job, base) {
  const button = (key, label, act, kind) => h("button", { onclick: act, class: kind,
    "data-key": key, type: "button" }, label);
  return h("div", { class: "actions" },
    button("checkpoint", "Checkpoint", () => operate("Checkpoint", base + "/checkpoints",
      base + "/checkpoints/", {}, (done) => `Checkpoint ${done.checkpointId} is complete.`)),
    button("savepoint", "Savepoint…", () => askFor("Take a savepoint",
      "The job goes on meanwhile.", "Take it", ({ directory, format }) =>
        operate("Savepoint", base + "/savepoints", base + "/savepoints/",
          { "target-directory": directory || undefined, formatType: format }, told))),
    button("stop", "Stop…", () => askFor("Stop the job",
      "The sources stop, a savepoint is taken, and the job ends; results up to it are committed.",
      "Stop it", ({ directory, format, drain }) =>
        operate("Stop", base + "/stop", base + "/savepoints/",
          { targetDirectory: directory || undefined, formatType: format, drain }, told), true)),
    config && config.features["web-cancel"] && button("cancel", "Cancel…", () => confirmCancel(
      job, base), "danger"));
}
const told = (done) => `The savepoint is complete: ${done.location}`;
function say(text, bad) { message = { text, bad }; refresh(); }

async function operate(what, path, poll, body, words) {
  try {
    const { "request-id": id } = await ask(path, "POST", body);
    say(what + " is being taken …");
    for (;;) {
      const { status, operation } = await ask(poll + id);
      if (status.id === "COMPLETED") {
        const cause = operation["failure-cause"] || operation.failureCause;
        say(cause ? what + " failed: " + cause["stack-trace"] : words(operation), Boolean(cause));
        return;
      }
      await new Promise((resume) => setTimeout(resume, 500));
    }
  } catch (error) { say(what + " failed: " + error.message, true); }
}

function askFor(title, text, verb, act, drains) {
  const directory = h("input", { type: "text", id: "directory", spellcheck: "false",
    placeholder: "the configured savepoint directory" });
  const format = h("select", { id: "format" }, h("option", { value: "CANONICAL" }, "canonical: " +
    "every store and Flink read it"), h("option", { value: "NATIVE" }, "native: faster"));
  const drain = h("input", { type: "checkbox", id: "drain" });
  show(title, text, verb, () => act({ directory: directory.value.trim(), format: format.value,
    drain: drain.checked }), [h("label", { for: "directory" }, "Directory or URL"), directory,
    h("label", { for: "format" }, "Format"), format,
    drains && h("label", {}, drain, " Let event time reach its end first: all timers fire")]);
}
function confirmCancel(job, base) {
  show("Cancel " + job.name + "?",
    "It ends at once. Results after the last checkpoint are not committed.", "Cancel the job",
    async () => {
      try { await ask(base + "?mode=cancel", "PATCH"); say("The job is being cancelled."); }
      catch (error) { say("Cancelling failed: " + error.message, true); }
    }, []);
}
function show(title, text, verb, act, fields) {
  const close = () => dialog.close();
  dialog.replaceChildren(h("h2", {}, title), h("p", {}, text), ...fields.filter(Boolean),
    h("div", { class: "actions" }, h("button", { type: "button", onclick: close }, "Leave it"),
      h("button", { type: "button", class: "main", onclick: () => { close(); act(); } }, verb)));
  dialog.showModal();
}
