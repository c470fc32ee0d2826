// Who needs a migration and has none: found by a search over the tenant, started here.

// The first page is asked for again and again; those behind it stay as long as it does.
async function foundSoFar() {
  memory.needs = null; // the first page has an older list
  const first = await get("discovery?top=200"), print = JSON.stringify(first);
  if (memory.found?.print !== print) memory.found = { print, ...first };
  return memory.found;
}

async function moreFound() {
  const known = memory.found, page = await firstRows("discovery?top=1000", known.continuationToken);
  Object.assign(known, { value: [...known.value, ...page.value], requests: [...known.requests, ...page.requests], continuationToken: page.continuationToken });
  refresh();
}

const NEEDS = { PolicyGranted: "Is in Teams only, and has Skype meetings", PolicyGrantedTenantWide: "The tenant is in Teams only; has Skype meetings",
  VideoInteropChanged: "The policy of video interop has changed" };
function why(reason) {
  const [rule, name] = reason.split(" ");
  return NEEDS[name] ? [NEEDS[name], h("span.soft.small", null, ` ${rule}`)] : reason;
}

async function discoveryPage(place) {
  const found = await foundSoFar();
  const meetings = found.value.reduce((sum, row) => sum + row.meetings, 0);
  const start = (rows, requests) => doing({
    title: `Start ${plural(rows.length, "user")}?`, verb: "Start",
    words: async (hooks) => {
      const some = rows.slice(0, MOST_PLANNED), first = `${plural(rows.length, "user starts", "users start")} after the settling time; until then each can be cancelled.`;
      const sum = await forecastAll(some.map(({ userId: identity, sourceMeetingType, targetMeetingType }) => ({ identity, sourceMeetingType, targetMeetingType })), hooks);
      return partWords(sum, first, some.length, rows.length);
    },
  }, async () => { for (const request of requests) await post("migrations", request); }, "They wait for their time.");
  const more = found.continuationToken && h("button", { type: "button", "data-key": "more", onclick: () => moreFound().catch((error) => trouble(error.message)) }, "List more");
  show(place, found, () => [
    h("div.head", null, h("h1", null, "Needs migration"), found.value.length > 1 && h("button.main", { type: "button", "data-key": "all", onclick: () => start(found.value, found.requests) }, `Start ${found.continuationToken ? "these " : "all "}${number(found.value.length)}`)),
    h("p.lead", null, "Users whose future meetings do not fit what they have now, and for whom nothing waits, runs or has run. ",
      found.isRunning ? "A search is under way." : found.discoveredAt && ["Searched ", when(found.discoveredAt), "."]),
    found.value.length ? h("section.card", null, h("header", null, h("h2", null, `${found.continuationToken ? "The first " : ""}${plural(found.value.length, "user")}`), h("span.soft.small", null, plural(meetings, "meeting"))),
      table("Users who need a migration", [["User"], ["Why", ".wide"], ["Meetings", ".right"], [h("span.unseen", null, "Start"), ".fit"]], found.value.map((row) => h("tr", null,
        h("td", null, h("a.breaks", { href: `#/start/${encodeURIComponent(row.identity)}` }, row.identity)), h("td.wide", null, why(row.reason)), h("td.right.number", null, number(row.meetings)),
        h("td.fit", null, h("button", { type: "button", "data-key": `start-${row.userId}`, "aria-label": `Start ${row.identity}`, onclick: () => start([row], [{ identity: row.userId, sourceMeetingType: row.sourceMeetingType, targetMeetingType: row.targetMeetingType, ...(row.notBefore ? { notBefore: row.notBefore } : {}) }]) }, "Start"))))),
      more && h("div.foot", null, more))
      : more ? [h("p.lead", null, PASSED_OVER), more]
      : h("p.lead", null, found.isRunning || !found.discoveredAt ? "The list fills as the search goes on." : "Nobody."),
  ]);
}
