// One user: the runs, each meeting with its block before and after, what was mailed, and the way back.

const VERDICTS = { restore: "Would be restored", migrated: "Migrated", refreshed: "Refreshed", current: "Was current", skipped: "Skipped", failed: "Failed",
  migrate: "Would be migrated", refresh: "Would be refreshed", skip: "Would be skipped", fail: "Would fail" };
const PLACES = { teams: "Teams", skype: "Skype for Business", consumer: "Teams (personal)" };

function hostOf(link) { try { return new URL(link).host; } catch { return ""; } }

function side(title, place, other, after, lines) {
  const was = (key) => other && JSON.stringify(other[key]) !== JSON.stringify(place[key]);
  const line = (key, word, text) => text && h("p" + (key === "joinUrl" ? ".small" : ""), null, h("span.soft", null, `${word} `), key !== "joinUrl" && was(key) && after ? h("strong.breaks", null, text) : h("span.breaks", null, text));
  return h("div.side" + (after ? ".after" : ""), null, h("h3", null, title), !place ? h("p.soft", null, "No meeting block.") : [
    h("p", null, h("strong", null, PLACES[place.kind] ?? place.kind)), line("joinUrl", "Join", place.joinUrl), line("conferenceId", "Conference ID", place.conferenceId),
    line("numbers", "Dial in", place.numbers.join(", "))], lines && h("div.block", null, lines));
}

// The two blocks as people read them. Where most stayed, what did not is marked; a new product's block is new as a whole.
function compared(found) {
  const [old, now] = [found.oldBlock, found.newBlock].map((text) => text ? readable(text, found.contentType).split("\n") : []);
  const common = old.filter((line) => now.includes(line)).length, isMarked = common * 3 > Math.max(old.length, now.length);
  const shown = (lines, others, tag) => lines.length > 0 && lines.map((line) => h("div", null, isMarked && !others.includes(line) ? h(tag, null, line) : line));
  return [shown(old, now, "del"), shown(now, old, "ins")];
}

const blocks = new Map();
async function blocksOf(user, row) {
  const key = `${row.eventId} ${row.modified}`;
  if (!blocks.has(key)) {
    if (blocks.size > 200) blocks.clear();
    blocks.set(key, await get(ofUser(user, `/blocks?eventId=${encodeURIComponent(row.eventId)}`)));
  }
  return blocks.get(key);
}

function sides(row, found) {
  const [old, now] = found ? compared(found) : [];
  return [side("Before", row.before, row.after, false, old), side(["current", "skipped"].includes(row.verdict) ? "Now" : "After", row.after, row.before, true, now)];
}

function meeting(user, row, isOver) {
  const title = row.subject || "(no subject)", both = h("div.sides", null, sides(row));
  const look = async () => { const found = await blocksOf(user, row); if (found.oldBlock || found.newBlock) both.replaceChildren(...sides(row, found)); };
  return h("details.meeting", { "data-key": `m-${row.eventId}`, ontoggle: (event) => { if (event.target.open) look().catch((error) => trouble(error.message)); } },
    h("summary", { "data-key": `ms-${row.eventId}` }, h("span", null, title), h("span.state." + row.verdict, null, row.code === "Restored" ? "Restored" : VERDICTS[row.verdict]),
      h("span.small.soft", null, when(row.start), row.updates ? ` · ${plural(row.updates, "update")} sent` : "", row.people > 1 ? ` · ${plural(row.people, "person", "people")}` : "")),
    h("div.inside", null,
      row.code && h("p", null, h("span.mono", null, row.code), row.message ? ` ${row.message}` : ""),
      row.difference?.body && h("div.stack", null, h("p.soft", null, "Edited since the migration"), h("div.side", null, h("pre.mono", null, row.difference.body))),
      both,
      isOver && row.verdict !== "failed" && isChanged(row) && h("div", null, h("button", { type: "button", "data-key": `undo-${row.eventId}`, onclick: () => undo(user, [row.eventId]) }, "Undo this meeting")),
      h("p.small.soft", null, `Tried ${plural(row.attempts, "time")}`, row.requestId && [" · Graph request ", h("span.mono.breaks", null, row.requestId)])));
}

const isChanged = (row) => ["migrated", "refreshed"].includes(row.verdict);

// The newest run alone says whether anything is new; the lists are asked for only then, or while it works.
async function userLists(user, known) {
  const run = await get(ofUser(user)).catch((error) => { if (error.status === 404) return null; throw error; });
  const print = JSON.stringify(run);
  if (known?.print === print && run?.State !== "InProgress") return known;
  if (!run) return { print, runs: [], rows: [] };
  const [{ value: runs }, { value: rows }] = await Promise.all([
    known?.print === print ? { value: known.runs } : get(`migrations?identity=${encodeURIComponent(user)}&top=50`), get(ofUser(user, "/meetings"))]);
  return { print, runs, rows };
}

let shownUser = { user: null, lists: null };

async function userPage(place, user) {
  const known = shownUser.user === user && place.hasChildNodes() ? shownUser.lists : null;
  const lists = await userLists(user, known);
  shownUser = { user, lists };
  const { runs, rows } = lists, run = runs[0];
  document.title = `${run ? nameOf(run) : user} – Meeting Migration`;
  show(place, [runs, rows, run?.NextAttempt && Math.floor(Date.now() / 15000)], () => {
    if (!run) return [h("h1.breaks", null, user), h("p.lead", null, "Nothing was ever asked for this user."),
      h("div", null, h("a.button", { href: `#/start/${encodeURIComponent(user)}` }, "Preview a migration"))];
    const isOver = FINAL.includes(run.State), done = endedOf(run);
    const changed = rows.filter(isChanged);
    const { cause: why, remedy } = explained(run.LastMessage);
    return [
      h("div.head", null, h("h1.breaks", null, nameOf(run)), h("div.actions", null,
        isOver && run.State !== "Succeeded" && !MESSAGES.includes(run.Code) && h("button.main", { type: "button", "data-key": "retry", onclick: () => retryOne(run) }, "Retry"),
        !isOver && h("button", { type: "button", "data-key": "cancel", onclick: () => cancelOne(run) }, "Cancel"),
        isOver && h("a.button", { href: `#/start/${encodeURIComponent(run.UserId ?? user)}`, "data-key": "again" }, "Preview again"),
        isOver && changed.length > 0 && h("button", { type: "button", "data-key": "undo", onclick: () => undo(user) }, "Undo"))),
      card("Newest run", stateMark(run.State), h("div.body.stack", null,
        run.LastMessage && h("p" + (run.State === "Failed" ? ".note" : ""), null, why, remedy && h("span.soft", null, ` ${remedy}`)),
        run.State === "InProgress" && run.TotalMeeting > 0 && progress(done, run.TotalMeeting),
        h("dl.facts", null,
          h("dt", null, "Kind"), h("dd", null, kindWord(run.MigrationType)), h("dt", null, "Asked for"), h("dd", null, when(run.CreateDate), ` · ${run.Reasons.join(", ")}`),
          run.NextAttempt && [h("dt", null, "Due"), h("dd", null, due(run.NextAttempt), " · ", when(run.NextAttempt))],
          h("dt", null, "Meetings"), h("dd.number", null, run.TotalMeeting || run.SkippedMeeting ? `${run.SucceededMeeting} of ${run.TotalMeeting} done, ${run.FailedMeeting} failed` + (run.SkippedMeeting ? `; ${run.SkippedMeeting} more skipped` : "") : run.State === "Succeeded" ? "none" : "not looked at yet"),
          h("dt", null, "Updates mailed"), h("dd.number", null, number(run.InvitesUpdate)),
          h("dt", null, "Correlation id"), h("dd.mono.breaks", null, run.CorrelationId)))),
      card("Meetings", h("span.soft.small", null, rows.length ? plural(rows.length, "meeting") : ""), rows.length ? rows.map((row) => meeting(user, row, isOver)) : h("p.empty", null, isOver ? "No meeting of this user is concerned." : "They are listed when the run looks at the calendar.")),
      runs.length > 1 && card("Earlier runs", null, table("Earlier runs", [["When", ".fit"], ["State", ".fit"], ["Kind", ".wide"], ["Meetings", ".right"]], runs.slice(1).map((each) => h("tr", null,
        h("td.fit", null, when(each.CreateDate)), h("td.fit", null, stateMark(each.State)), h("td.wide", null, kindWord(each.MigrationType)), h("td.right.number", null, `${each.SucceededMeeting} of ${each.TotalMeeting}`))))),
    ];
  });
  if (run && place.dataset.state && place.dataset.state !== run.State) announce(`${nameOf(run)}: ${stateWord(run.State)}`);
  if (run) place.dataset.state = run.State;
}

function progress(done, total) {
  const bar = h("i");
  bar.style.width = `${(100 * done) / total}%`;
  return h("div.progress", { role: "progressbar", "aria-label": "Meetings done", "aria-valuenow": done, "aria-valuemin": 0, "aria-valuemax": total }, bar);
}
