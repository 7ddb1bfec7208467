// What is shown is asked for again and again.
// -- the page

async function refresh() {
  clearTimeout(timer);
  const mine = turn += 1;
  const [, kind, id, tab, part] = location.hash.split("/");
  try {
    config = config || await ask("/config");
    const [title, content] = kind === "job" && /^[0-9a-f]{32}$/.test(id)
      ? await showJob(id, tab || "", part || "") : await showJobs();
    if (mine !== turn) return;
    note.className = "note";
    note.replaceChildren("as of ", time(Date.now()));
    document.title = title + " · Millpond";
    const focused = document.activeElement && document.activeElement.dataset.key;
    main.replaceChildren(...[content].flat(9).filter(Boolean));
    const again = focused && [...main.querySelectorAll("[data-key]")]
      .find((node) => node.dataset.key === focused);
    if (again) again.focus({ preventScroll: true });
  } catch (error) {
    if (mine !== turn) return;
    note.className = "note bad";
    note.textContent = error.status ? "" : "not reachable";
    if (error.status) main.replaceChildren(empty(error.message));
  }
  plan();
}
function plan() {
  clearTimeout(timer);
  timer = setTimeout(() => {
    // What somebody is about to copy, or a page that nobody sees, stays as it is.
    const selection = getSelection();
    if (document.hidden || (selection && !selection.isCollapsed)) plan();
    else refresh();
  }, config ? config["refresh-interval"] : 3000);
}
addEventListener("hashchange", () => { message = null; refresh(); });
document.addEventListener("visibilitychange", () => document.hidden || refresh());
refresh();
