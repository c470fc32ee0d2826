// Which page is shown, and keeping it fresh while somebody looks.

const PAGES = {
  overview: { make: overview, every: 3000 },
  user: { make: userPage, every: 2000 },
  discovery: { make: discoveryPage, every: 5000 },
  runs: { make: runsPage },
  start: { make: startPage },
  settings: { make: settingsPage },
};
let current = { page: null, argument: undefined, turn: 0 };
let timer = 0;

function route() {
  const [name = "", argument] = location.hash.replace(/^#\/?/, "").split("/");
  const page = PAGES[name] ? name : "overview";
  let text = argument;
  try { text = argument && decodeURIComponent(argument); } catch { text = ""; }
  return { page, argument: text || undefined };
}

async function turn(isNew) {
  clearTimeout(timer);
  const mine = current.turn, { make, every } = PAGES[current.page], place = $("#main");
  try {
    if (isNew || every) await make($("#view"), current.argument);
    if (mine === current.turn) trouble($("#trouble").textContent.startsWith("The service does not answer") ? "" : $("#trouble").textContent);
  } catch (error) {
    if (error.status === 401) return;
    if (mine === current.turn && isNew && error.status !== 0) $("#view").replaceChildren(h("h1", null, "This did not work"), h("p.note", null, error.message));
    else if (mine === current.turn) trouble(error.message);
  }
  place.setAttribute("aria-busy", "false");
  if (every && mine === current.turn) timer = setTimeout(() => (document.hidden ? null : turn(false)), every);
}

function refresh() { if (kept.token && PAGES[current.page]?.every) turn(false); }

function navigate() {
  if (!kept.token) return;
  takeFromAddress();
  const next = route();
  current = { ...next, turn: current.turn + 1 };
  document.title = "Meeting Migration";
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.page === next.page) link.setAttribute("aria-current", "page"); else link.removeAttribute("aria-current");
  }
  const place = $("#main");
  place.setAttribute("aria-busy", "true");
  place.replaceChildren(h("div.view", { id: "view" }));
  if (current.turn > 1) { place.focus({ preventScroll: true }); scrollTo(0, 0); }
  turn(true);
}

async function begin() {
  takeFromAddress();
  try { if (entra) await comeBack(); } catch (error) { gate(error.message); return; }
  if (!kept.token) { gate(); return; }
  $("#top").hidden = false;
  try { await config(); } catch (error) {
    if (error.status === 403) { kept.token = ""; gate(error.message); return; }
    if (error.status === 401) return;
    trouble(error.message);
  }
  navigate();
}

addEventListener("hashchange", () => { if (location.hash.startsWith("#token=")) begin(); else navigate(); });
narrow.addEventListener("change", refresh);
document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
$("#sign-out").addEventListener("click", () => { kept.token = ""; gate("You are signed out."); });
$("#search").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("#search-field").value.trim();
  if (text) location.hash = `#/user/${encodeURIComponent(text)}`;
});
begin();
