// One user: the runs, each meeting with its block before and after, what was mailed, and the way back.

const VERDICTS = { migrated: "Migrated", refreshed: "Refreshed", current: "Was current", skipped: "Skipped", failed: "Failed",
  migrate: "Would be migrated", refresh: "Would be refreshed", skip: "Would be skipped", fail: "Would fail" };
const PLACES = { teams: "Teams", skype: "Skype for Business", consumer: "Teams (personal)" };

function hostOf(link) { try { return new URL(link).host; } catch { return ""; } }

function side(title, place, other, after) {
  const was = (key) => other && JSON.stringify(other[key]) !== JSON.stringify(place[key]);
  const line = (key, word, text) => text && h("p" + (key === "joinUrl" ? ".small" : ""), null, h("span.soft", null, `${word} `), key !== "joinUrl" && was(key) && after ? h("strong.breaks", null, text) : h("span.breaks", null, text));
  return h("div.side" + (after ? ".after" : ""), null, h("h3", null, title), !place ? h("p.soft", null, "No meeting block.") : [
    h("p", null, h("strong", null, PLACES[place.kind] ?? place.kind)), line("joinUrl", "Join", place.joinUrl), line("conferenceId", "Conference ID", place.conferenceId),
    line("numbers", "Dial in", place.numbers.join(", "))]);
}

function meeting(row) {
  const title = row.subject || "(no subject)";
  return h("details.meeting", { "data-key": `m-${row.eventId}` },
    h("summary", { "data-key": `ms-${row.eventId}` }, h("span", null, title), h("span.state." + row.verdict, null, row.code === "Restored" ? "Restored" : VERDICTS[row.verdict]),
      h("span.small.soft", null, when(row.start), row.updates ? ` · ${plural(row.updates, "update")} sent` : "", row.people > 1 ? ` · ${plural(row.people, "person", "people")}` : "")),
    h("div.inside", null,
      row.code && h("p", null, h("span.mono", null, row.code), row.message ? ` ${row.message}` : ""),
      row.difference?.body && h("div.stack", null, h("p.soft", null, "Edited since the migration"), h("div.side", null, h("pre.mono", null, row.difference.body))),
      h("div.sides", null, side("Before", row.before, row.after, false), side(["current", "skipped"].includes(row.verdict) ? "Now" : "After", row.after, row.before, true)),
      h("p.small.soft", null, `Tried ${plural(row.attempts, "time")}`, row.requestId && [" · Graph request ", h("span.mono.breaks", null, row.requestId)])));
}

function undoWords(rows) {
  const changed = rows.filter((row) => ["migrated", "refreshed"].includes(row.verdict));
  const mails = changed.reduce((sum, row) => sum + Math.max(0, row.people - 1), 0);
  return [`${plural(changed.length, "invitation")} go back to what they were before the migration, at once.`,
    mails ? `Up to ${plural(mails, "mail")} will be sent: everybody invited gets one update for each of these meetings.` : "Nobody else is invited, so nobody will get mail.",
    "An invitation that somebody has edited since is left alone, and shown as failed."];
}

async function userPage(place, user) {
  const [{ value: runs }, meetings] = await Promise.all([
    get(`migrations?identity=${encodeURIComponent(user)}&top=50`),
    get(ofUser(user, "/meetings")).catch((error) => { if (error.status === 404) return { value: [] }; throw error; })]);
  const rows = meetings.value, run = runs[0];
  document.title = `${run ? nameOf(run) : user} – Meeting Migration`;
  show(place, [runs, rows, run?.NextAttempt && Math.floor(Date.now() / 15000)], () => {
    if (!run) return [h("h1.breaks", null, user), h("p.lead", null, "Nothing was ever asked for this user."),
      h("div", null, h("a.button", { href: `#/start/${encodeURIComponent(user)}` }, "Preview a migration"))];
    const isOver = FINAL.includes(run.State), done = run.SucceededMeeting + run.FailedMeeting + run.SkippedMeeting;
    const changed = rows.filter((row) => ["migrated", "refreshed"].includes(row.verdict));
    const { cause: why, remedy } = explained(run.LastMessage);
    return [
      h("div.head", null, h("h1.breaks", null, nameOf(run)), h("div.actions", null,
        isOver && run.State !== "Succeeded" && h("button.main", { type: "button", "data-key": "retry", onclick: () => retryOne(run) }, "Retry"),
        !isOver && h("button", { type: "button", "data-key": "cancel", onclick: () => cancelOne(run) }, "Cancel"),
        isOver && h("a.button", { href: `#/start/${encodeURIComponent(run.UserId ?? user)}`, "data-key": "again" }, "Preview again"),
        isOver && changed.length > 0 && h("button", { type: "button", "data-key": "undo", onclick: () => doing({ title: "Undo the migration?", words: undoWords(rows), verb: `Restore ${plural(changed.length, "invitation")}`, danger: true }, () => post(ofUser(user, "/undo")), "Undo has started.") }, "Undo"))),
      card("Newest run", stateMark(run.State), h("div.body.stack", null,
        run.LastMessage && h("p" + (run.State === "Failed" ? ".note" : ""), null, why, remedy && h("span.soft", null, ` ${remedy}`)),
        run.State === "InProgress" && run.TotalMeeting > 0 && progress(done, run.TotalMeeting),
        h("dl.facts", null,
          h("dt", null, "Kind"), h("dd", null, kindWord(run.MigrationType)), h("dt", null, "Asked for"), h("dd", null, when(run.CreateDate), ` · ${run.Reasons.join(", ")}`),
          run.NextAttempt && [h("dt", null, "Due"), h("dd", null, due(run.NextAttempt), " · ", when(run.NextAttempt))],
          h("dt", null, "Meetings"), h("dd.number", null, run.TotalMeeting ? `${run.SucceededMeeting} done, ${run.FailedMeeting} failed, ${run.SkippedMeeting} skipped, of ${run.TotalMeeting}` : "not looked at yet"),
          h("dt", null, "Updates mailed"), h("dd.number", null, number(run.InvitesUpdate)),
          h("dt", null, "Correlation id"), h("dd.mono.breaks", null, run.CorrelationId)))),
      card("Meetings", h("span.soft.small", null, rows.length ? plural(rows.length, "meeting") : ""), rows.length ? rows.map(meeting) : h("p.empty", null, isOver ? "No meeting of this user is concerned." : "They are listed when the run looks at the calendar.")),
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
