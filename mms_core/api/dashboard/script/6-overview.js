// The first page: are we on, what waits, what runs, what failed and why, how it went.

const memory = { config: null, history: [], historyAt: 0, isCut: false, lists: {} };

async function config() {
  memory.config = (await api("GET", "config")).document;
  const on = memory.config.MeetingMigrationEnabled;
  $("#power").className = `power ${on ? "on" : "off"}`;
  $("#power").textContent = on ? "On" : "Switched off";
  return memory.config;
}

// One page, now and then: however many users there are, this page asks for no more than that.
async function history14() {
  if (Date.now() - memory.historyAt < Math.max(5000, 120 * memory.history.length)) return memory.history; // a long list less often
  const since = new Date(dayStart(Date.now()) - (DAYS - 1) * 86400000).toISOString();
  const page = await get(`migrations?top=1000&startTime=${encodeURIComponent(since)}`);
  Object.assign(memory, { history: page.value, historyAt: Date.now(), isCut: Boolean(page.continuationToken) });
  return memory.history;
}

// The lists behind the counts: asked for again only when a count says that its list has changed, or when it is old.
async function list(state, top, age, counts) {
  const old = memory.lists[state], count = counts[state] ?? 0;
  if (old && old.count === count && Date.now() - old.at < age) return old.page;
  const page = count ? await get(`migrations?state=${state}&top=${top}`) : { value: [], continuationToken: null };
  memory.lists[state] = { count, at: Date.now(), page };
  return page;
}

function causes(rows) {
  const groups = new Map();
  for (const row of rows) {
    const key = row.Code ?? "Unknown";
    if (!groups.has(key)) groups.set(key, { code: key, ...explained(row.LastMessage), rows: [] });
    groups.get(key).rows.push(row);
  }
  return [...groups.values()].sort((a, b) => b.rows.length - a.rows.length);
}

async function retryGroup(group) {
  const rows = group.rows;
  if (rows.length === 1) return retryOne(rows[0]);
  return doing({ title: `Try ${plural(rows.length, "user")} again?`, verb: "Try all again",
    words: async (hooks) => sumWords(await forecastAll(rows.map((row) => ({ identity: identityOf(row), action: "retry" })), hooks), `${plural(rows.length, "user")} are tried again at once.`) },
  async () => {
    const refused = await forEach(rows, (row) => post(ofUser(identityOf(row), "/retry")));
    if (refused) trouble(`${plural(refused, "user")} could not be tried again: they are at work already, or have changed.`);
  }, `${plural(rows.length, "user")} are being tried again.`);
}

const cause = (group) => h("div.cause", null,
  h("div.text", null,
    h("h3", null, group.cause.replace(/ \([^()]*\)$/, "") || group.code),
    group.remedy && h("p.soft", null, group.remedy),
    h("p.small.soft", null, h("span.mono", null, group.code), ` · ${plural(group.rows.length, "user")}`)),
  h("div", null, h("button", { type: "button", "data-key": `retry-${group.code}`, "aria-label": `Retry: ${group.code}`, onclick: () => retryGroup(group) }, group.rows.length > 1 ? "Retry all" : "Retry")),
  h("details", { "data-key": `cause-${group.code}` }, h("summary", { "data-key": `s-${group.code}` }, "Who"),
    h("ul", null, group.rows.slice(0, 60).map((row) => h("li", null, userLink(row))),
      group.rows.length > 60 && h("li.soft", null, `and ${number(group.rows.length - 60)} more`))));

const card = (title, side, ...inside) => h("section.card", null, h("header", null, h("h2", null, title), side), ...inside);

const table = (label, heads, rows) => h("div.scroll", { tabindex: "0", role: "region", "aria-label": label }, h("table", null,
  h("thead", null, h("tr", null, heads.map(([word, kind = ""]) => h("th" + kind, { scope: "col" }, word)))), h("tbody", null, rows)));

function pendingCard(page, total) {
  if (!page.value.length) return card("Waiting", null, h("p.empty", null, "Nothing waits."));
  const rows = [...page.value].sort((a, b) => a.NextAttempt.localeCompare(b.NextAttempt)).slice(0, narrow.matches ? 5 : 12);
  return card("Waiting", h("span.soft.small", null, total > rows.length ? `${rows.length} of ${number(total)}` : ""), table("Waiting", [["User"], ["Kind", ".wide"], ["Due", ".fit"]], rows.map((row) => h("tr", null,
    h("td", null, userLink(row), row.RetryCount > 0 && h("div.small.soft", null, `try ${row.RetryCount + 1} of 10`)), h("td.wide", null, kindWord(row.MigrationType)),
    h("td.fit", null, h("span", { title: LONG.format(new Date(row.NextAttempt)) }, due(row.NextAttempt)))))));
}

function runningCard(page, total) {
  if (!page.value.length) return card("Running now", null, h("p.empty", null, "Nothing runs."));
  const rows = page.value.slice(0, narrow.matches ? 5 : 12);
  return card("Running now", h("span.soft.small", null, total > rows.length ? `${rows.length} of ${number(total)}` : ""), table("Running now", [["User"], ["Meetings", ".right"], ["For", ".fit"]], rows.map((row) => h("tr", null,
    h("td", null, userLink(row)), h("td.right.number", null, row.TotalMeeting ? `${row.SucceededMeeting + row.FailedMeeting + row.SkippedMeeting} of ${row.TotalMeeting}` : "looking"),
    h("td.fit", null, lasting(Date.now() - new Date(row.CreateDate)))))));
}

async function overview(place) {
  const [summary] = await Promise.all([get("migrations?summaryOnly=true"), memory.config ? null : config()]);
  const counts = Object.fromEntries(summary.value.map((row) => [row.State, row.UserCount]));
  const [waiting, running, failed] = await Promise.all([
    list("Pending", 50, 30000, counts), list("InProgress", 12, 2000, counts), list("Failed", 200, 60000, counts)]);
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
  if (!place.dataset.ready) {
    place.replaceChildren(h("h1.unseen", null, "Overview"), ...["off", "counts", "welcome", "failed", "now", "charts"].map((id) => h("div", { id: `at-${id}` })));
    place.dataset.ready = "yes";
  }
  show($("#at-off"), memory.config.MeetingMigrationEnabled, () => memory.config.MeetingMigrationEnabled ? null
    : h("p.note", null, "Migration is switched off: nothing starts and no calendar is written. ", h("a", { href: "#/settings" }, "Settings")));
  show($("#at-counts"), counts, () => h("dl.counts", null, STATES.filter((state) => state in counts).map((state) =>
    h("div", null, h("dt", null, stateMark(state)), h("dd" + (counts[state] ? "" : ".zero"), null, number(counts[state]))))));
  show($("#at-welcome"), total === 0, () => total ? null : h("div.stack", null, h("h2", null, "Nothing has been asked for yet"),
    h("p.lead", null, "Migrations start by themselves when a user moves, gets a licence or a policy. Or see ", h("a", { href: "#/discovery" }, "who needs one"), ", or ", h("a", { href: "#/start" }, "start one"), " by hand.")));
  // A user whose newer run is not a failure is no failure any more: lists show runs, the summary users.
  const newest = new Map();
  for (const row of failed.value) { const key = row.UserId ?? row.UserPrincipalName; if (!newest.has(key)) newest.set(key, row); }
  const groups = causes([...newest.values()]);
  show($("#at-failed"), [groups, counts.Failed], () => counts.Failed && groups.length ? card("Failed, by cause", failed.continuationToken && h("span.soft.small", null, "of the newest 200"), groups.map(cause)) : null);
  show($("#at-now"), [waiting, running, narrow.matches, Math.floor(Date.now() / 15000)], () => total ? h("div.two", null, runningCard(running, counts.InProgress), pendingCard(waiting, counts.Pending)) : null);
  const rows = await history14();
  const floor = memory.config.SettleMinutes;
  show($("#at-charts"), [memory.historyAt, floor, total === 0, narrow.matches], () => {
    if (!rows.length) return null;
    const days = byDay(rows), states = STATES.filter((state) => days.some(({ counts: each }) => each[state]));
    const side = memory.isCut && h("span.soft.small", null, `the newest ${number(rows.length)} runs`);
    return h("div.two", null,
      card("Runs a day", side, h("div.body", null, runsChart(days), h("div.legend", null, states.map(stateMark)))),
      card("From trigger to done", side, h("div.body", null, timeChart(days, floor), days.some(({ minutes }) => minutes.length) && h("p.legend", null, "Dot: half were done by then. Bar: from one in ten to nine in ten."))));
  });
}
