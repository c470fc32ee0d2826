// The first page: are we on, what waits, what runs, what failed and why, how it went.

const memory = { config: null, history: null, lists: {}, found: null, needs: null, messages: { at: 0 } };

async function config() {
  memory.config = (await api("GET", "config")).document;
  const on = memory.config.MeetingMigrationEnabled;
  $("#power").className = `power ${on ? "on" : "off"}`;
  $("#power").textContent = on ? "On" : "Switched off";
  return memory.config;
}

const total = (rows, name) => rows.reduce((sum, row) => sum + row[name], 0);
const summaryBy = async (what) => (await get(`migrations?summaryOnly=true&summaryBy=${what}`)).value;
const MOST_RUNS = 1000;

// Of some lists the service looks at a part for each question, and shows what it finds there: on to the first with a row.
async function firstRows(path, token = null) {
  const page = await get(token ? `${path}&continuationToken=${encodeURIComponent(token)}` : path);
  return page.value.length || !page.continuationToken ? page : firstRows(path, page.continuationToken);
}

// What the charts show: the runs themselves where they fit on one page, else what the service has counted.
async function history14(counts) {
  const old = memory.history, print = JSON.stringify(counts), age = Date.now() - (old?.at ?? 0);
  if (old && (age < old.rest || (old.print === print && age < 300000))) return old;
  const counted = await summaryBy("day"), runs = total(counted, "RunCount"), isCounted = runs > MOST_RUNS;
  const since = new Date(dayStart(Date.now()) - (DAYS - 1) * 86400000).toISOString();
  const days = isCounted ? fromCounters(counted, await summaryBy("duration"))
    : byDay((await get(`migrations?top=${MOST_RUNS}&startTime=${encodeURIComponent(since)}`)).value);
  memory.history = { at: Date.now(), print, days, isCounted, rest: isCounted ? 30000 : Math.max(5000, 60 * runs) };
  return memory.history;
}

// The lists behind the counts: asked for again only when a count says that its list has changed, or when it is old.
async function list(state, query, age, counts, more = async () => null) {
  const old = memory.lists[state], count = counts[state] ?? 0;
  if (old?.isHeld && Date.now() - old.at < 300000) { // somebody is reading on: the rows stay, the counts do not
    if (old.count !== count) { old.count = count; old.page.more = await more(); }
    return old.page;
  }
  if (old && old.count === count && Date.now() - old.at < age) return old.page;
  const page = count ? await get(`migrations?state=${state}&${query}`) : { value: [], continuationToken: null };
  memory.lists[state] = { count, at: Date.now(), page: { ...page, more: count ? await more() : [] } };
  return memory.lists[state].page;
}

// Groups of users by the code of their failure: how many there are is counted by the service, who they are is listed.
function causes(failed) {
  // A user whose newer run is not a failure is no failure any more: lists show runs, the summary users.
  const newest = new Map();
  for (const row of failed.value) { const key = row.UserId ?? row.UserPrincipalName; if (!newest.has(key)) newest.set(key, row); }
  const rows = [...newest.values()];
  return failed.more.map(({ Code: code, UserCount: count, LastMessage: message }) => {
    const own = rows.filter((row) => row.Code === code);
    return { code: code ?? "Unknown", ...explained(message), rows: own, count: Math.max(count, own.length) };
  });
}

// The failures behind those that are shown, a long page at a time.
async function moreFailures() {
  const known = memory.lists.Failed, page = await get(`migrations?state=Failed&top=${MOST_RUNS}&continuationToken=${encodeURIComponent(known.page.continuationToken)}`);
  Object.assign(known, { at: Date.now(), isHeld: true, page: { ...page, value: [...known.page.value, ...page.value], more: known.page.more } });
  refresh();
}

// Users of a group whose calendars are looked at before it is asked: those listed, and as many more as are wanted.
async function someOf(group) {
  const rows = [...group.rows], known = new Set(rows.map(identityOf)), wanted = Math.min(MOST_PLANNED, group.count);
  let token = memory.lists.Failed?.page.continuationToken;
  for (let pages = 0; token && rows.length < wanted && pages < 5; pages += 1) {
    const page = await get(`migrations?state=Failed&top=${MOST_RUNS}&continuationToken=${encodeURIComponent(token)}`);
    for (const row of page.value) if (row.Code === group.code && !known.has(identityOf(row))) { known.add(identityOf(row)); rows.push(row); }
    token = page.continuationToken;
  }
  return rows.slice(0, wanted);
}

async function groupWords(group, hooks) {
  const rate = memory.config?.AdmissionUsersPerMinute, rows = await someOf(group);
  const sum = await forecastAll(rows.map((row) => ({ identity: identityOf(row), action: "retry" })), hooks);
  const first = `${plural(group.count, "user")} are tried again${rate && group.count > rate ? `, up to ${number(rate)} a minute` : " at once"}.`;
  return partWords(sum, first, rows.length, group.count);
}

async function retryGroup(group) {
  if (group.count === 1 && group.rows.length === 1) return retryOne(group.rows[0]);
  return doing({ title: `Try ${plural(group.count, "user")} again?`, verb: "Try all again", words: (hooks) => groupWords(group, hooks) },
    async () => { await post("retries", { code: group.code }); delete memory.lists.Failed; }, `${plural(group.count, "user")} are being tried again.`);
}

const cause = (group) => h("div.cause", null,
  h("div.text", null,
    h("h3", null, group.cause || group.code),
    group.remedy && h("p.soft", null, group.remedy),
    h("p.small.soft", null, h("span.mono", null, group.code), ` · ${plural(group.count, "user")}`, group.count > group.rows.length && `, ${number(group.rows.length)} of them listed here`)),
  !MESSAGES.includes(group.code) && h("div", null, h("button", { type: "button", "data-key": `retry-${group.code}`, "aria-label": `Retry: ${group.code}`, onclick: () => retryGroup(group) }, group.count > 1 ? "Retry all" : "Retry")),
  group.rows.length > 0 && h("details", { "data-key": `cause-${group.code}` }, h("summary", { "data-key": `s-${group.code}` }, "Who"),
    h("ul", null, group.rows.slice(0, 60).map((row) => h("li", null, userLink(row))),
      group.rows.length > 60 && h("li.soft", null, `and ${number(group.rows.length - 60)} more`))));

// What failed and belongs to no user's run, or to many: listed by the service, and asked for once a minute.
async function failedMessages() {
  if (Date.now() - memory.messages.at > 60000) {
    const page = await firstRows(`migrations?summaryOnly=true&summaryBy=message&top=${MOST_RUNS}`);
    memory.messages = { at: Date.now(), rows: page.value, isMore: Boolean(page.continuationToken) };
  }
  return memory.messages;
}

const MESSAGE_KINDS = { UsersChanged: "Changes of users", TenantEvent: "An event of the tenant", ActivityContent: "Audit records", Batch: "Several things at once",
  LookAfterSubscriptions: "Care of subscriptions", JobStep: "A step of a sweep", Notice: "A mail to an organizer", StartMany: "Rows of a list", Wake: "A run",
  Resolve: "A name", Preview: "A preview", unknown: "Not understood" };
const MOST_MESSAGES = 12;

const messagesCard = ({ rows, isMore }) => card("Messages that failed", h("span.soft.small", null, isMore ? `the newest of the first ${number(rows.length)}; there may be more` : rows.length > MOST_MESSAGES && `the newest ${MOST_MESSAGES} of ${number(rows.length)}`),
  h("div.body", null, h("p.soft", null, explained(rows[0].LastMessage).cause.replace(/ \([^()]*\)$/, ""), " After the fix put each back: ",
    h("span.mono", null, "python -m mms_core.maintenance replay"), " and its id.")),
  table("Messages that failed", [["What"], ["State", ".fit"], ["When", ".fit"]], rows.slice(-MOST_MESSAGES).reverse().map((row) => h("tr", null,
    h("td", null, MESSAGE_KINDS[row.Kind] ?? row.Kind, h("div.small.soft.mono.breaks", null, row.MessageId)), h("td.fit", null, stateMark(row.State)), h("td.fit", null, when(row.CreateDate))))));

const card = (title, side, ...inside) => h("section.card", null, h("header", null, h("h2", null, title), side), ...inside);

const table = (label, heads, rows) => h("div.scroll", { tabindex: "0", role: "region", "aria-label": label }, h("table", null,
  h("thead", null, h("tr", null, heads.map(([word, kind = ""]) => h("th" + kind, { scope: "col" }, word)))), h("tbody", null, rows)));

const shownOf = (state, which, rows, count) => count > rows.length && h("span.soft.small", null, `the ${which} ${rows.length} of ${number(count)} · `, h("a", { href: `#/runs/${state}` }, "all"));

function pendingCard(page, count) {
  if (!page.value.length) return card("Waiting", null, h("p.empty", null, "Nothing waits."));
  const rows = page.value.slice(0, narrow.matches ? 5 : 12);
  return card("Waiting", shownOf("Pending", "next", rows, count), table("Waiting", [["User"], ["Kind", ".wide"], ["Due", ".fit"]], rows.map((row) => h("tr", null,
    h("td", null, userLink(row), row.RetryCount > 0 && h("div.small.soft", null, `try ${row.RetryCount + 1} of 10`)), h("td.wide", null, kindWord(row.MigrationType)),
    h("td.fit", null, h("span", { title: LONG.format(new Date(row.NextAttempt)) }, due(row.NextAttempt)))))));
}

function runningCard(page, count) {
  if (!page.value.length) return card("Running now", null, h("p.empty", null, "Nothing runs."));
  const rows = page.value.slice(0, narrow.matches ? 5 : 12);
  return card("Running now", shownOf("InProgress", "newest", rows, count), table("Running now", [["User"], ["Meetings", ".right"], ["For", ".fit"]], rows.map((row) => h("tr", null,
    h("td", null, userLink(row)), h("td.right.number", null, row.TotalMeeting ? `${endedOf(row)} of ${row.TotalMeeting}` : "looking"),
    h("td.fit", null, lasting(Date.now() - new Date(row.CreateDate)))))));
}

const PASSED_OVER = "The first of those who were found have been started.";

// Who needs a migration, as the last search has it: looking here does not make the tenant be searched again.
async function needs() {
  const old = memory.needs, age = old?.isRunning || old?.message ? 15000 : 300000;
  if (!old || Date.now() - old.at > age) memory.needs = { at: Date.now(), ...await get("discovery?top=6&search=false").catch(({ message }) => ({ value: [], message })) };
  return memory.needs;
}

function needsCard({ value: rows, discoveredAt, continuationToken, message }) {
  const shown = rows.slice(0, 5).flatMap((row, index) => [index > 0 && ", ", h("a.breaks", { href: `#/start/${encodeURIComponent(row.identity)}` }, row.identity)]);
  return card("Who needs a migration", h("span.soft.small", null, discoveredAt && ["searched ", when(discoveredAt), " · "], h("a", { href: "#/discovery" }, discoveredAt || rows.length ? "all" : "search now")),
    h(rows.length ? "p.body" : "p.empty", null, rows.length ? [shown, rows.length > 5 ? " and more" : continuationToken && " and maybe more"] : message ?? (continuationToken ? PASSED_OVER : discoveredAt ? "Nobody." : "Nobody has searched yet.")));
}

async function overview(place) {
  const [summary] = await Promise.all([get("migrations?summaryOnly=true"), memory.config ? null : config()]);
  const counts = Object.fromEntries(summary.value.map((row) => [row.State, row.UserCount]));
  const [waiting, running, failed, messages, found] = await Promise.all([
    list("Pending", "orderBy=due&top=12", 30000, counts), list("InProgress", "top=12", 2000, counts),
    list("Failed", "top=100", 60000, counts, () => summaryBy("code")), failedMessages(), needs()]);
  const users = total(summary.value, "UserCount");
  if (!place.dataset.ready) {
    place.replaceChildren(h("h1.unseen", null, "Overview"), ...["off", "counts", "welcome", "failed", "messages", "now", "needs", "charts"].map((id) => h("div", { id: `at-${id}` })));
    place.dataset.ready = "yes";
  }
  show($("#at-off"), memory.config.MeetingMigrationEnabled, () => memory.config.MeetingMigrationEnabled ? null
    : h("p.note", null, "Migration is switched off: nothing starts and no calendar is written. ", h("a", { href: "#/settings" }, "Settings")));
  show($("#at-counts"), counts, () => h("dl.counts", null, STATES.filter((state) => state in counts).map((state) =>
    h("div", null, h("dt", null, stateMark(state)), h("dd" + (counts[state] ? "" : ".zero"), null, counts[state] ? h("a", { href: `#/runs/${state}`, "aria-label": `${number(counts[state])} ${stateWord(state).toLowerCase()}: list them` }, number(counts[state])) : number(0))))));
  show($("#at-welcome"), users === 0, () => users ? null : h("div.stack", null, h("h2", null, "Nothing has been asked for yet"),
    h("p.lead", null, "Migrations start by themselves when a user moves, gets a licence or a policy. Or see ", h("a", { href: "#/discovery" }, "who needs one"), ", or ", h("a", { href: "#/start" }, "start one"), " by hand.")));
  const groups = causes(failed);
  show($("#at-failed"), [groups, counts.Failed], () => counts.Failed && groups.length ? card("Failed, by cause", null, groups.map(cause),
    failed.continuationToken && h("div.foot", null, h("span.soft.small", null, `The newest ${number(failed.value.length)} failed runs are listed.`), h("button", { type: "button", "data-key": "more-failures", onclick: () => moreFailures().catch((error) => trouble(error.message)) }, "List more"))) : null);
  show($("#at-messages"), messages, () => messages.rows.length ? messagesCard(messages) : null);
  show($("#at-now"), [waiting, running, narrow.matches, Math.floor(Date.now() / 15000)], () => users ? h("div.two", null, runningCard(running, counts.InProgress), pendingCard(waiting, counts.Pending)) : null);
  show($("#at-needs"), found, () => users || found.value.length ? needsCard(found) : null);
  const history = await history14(counts), { days, isCounted } = history, floor = memory.config.SettleMinutes;
  show($("#at-charts"), [history.at, floor, narrow.matches], () => {
    const states = STATES.filter((state) => days.some(({ counts: each }) => each[state]));
    if (!states.length) return null;
    const side = isCounted && h("span.soft.small", null, "days of UTC");
    return h("div.two", null,
      card("Runs a day", side, h("div.body", null, runsChart(days), h("div.legend", null, states.map(stateMark)))),
      card("From trigger to done", side && side.cloneNode(true), h("div.body", null, timeChart(days, floor), days.some(({ minutes }) => minutes.length) && h("p.legend", null, "Dot: half were done by then. Bar: from one in ten to nine in ten."))));
  });
}

// All runs in a state, newest first, a page at a time.
async function runsPage(place, state) {
  const isState = STATES.includes(state), rows = [];
  let token = null;
  const more = async () => {
    const page = await get(`migrations?top=100${isState ? `&state=${state}` : ""}${token ? `&continuationToken=${encodeURIComponent(token)}` : ""}`);
    rows.push(...page.value);
    token = page.continuationToken;
    show(place, rows.length, () => [
      h("h1", null, isState ? `${stateWord(state)} runs` : "All runs"),
      rows.length ? h("section.card", null, h("header", null, h("h2", null, "Newest first"), h("span.soft.small", null, token ? `the newest ${number(rows.length)}` : plural(rows.length, "run"))),
        table("Runs", [["User"], ["Kind", ".wide"], ["Asked for", ".fit"], ["Meetings", ".right"], ["Result", ".wide"]], rows.map((row) => h("tr", null,
          h("td", null, userLink(row), !isState && h("div.small", null, stateMark(row.State))), h("td.wide", null, kindWord(row.MigrationType)), h("td.fit", null, when(row.CreateDate)),
          h("td.right.number", null, row.TotalMeeting ? `${row.SucceededMeeting} of ${row.TotalMeeting}` : "–"), h("td.wide.small", null, explained(row.LastMessage).cause)))),
        token && h("div.foot", null, h("button", { type: "button", "data-key": "more", onclick: () => more().catch((error) => trouble(error.message)) }, "List more")))
        : h("p.lead", null, "There is none."),
    ]);
  };
  await more();
}
