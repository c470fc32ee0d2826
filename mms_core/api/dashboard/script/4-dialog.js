// Every act that changes something asks first: what will happen, and how many people get mail.

function ask({ title, words, verb, danger = false, extra = null }) {
  const dialog = $("#dialog");
  return new Promise((answer) => {
    const close = (value) => { dialog.close(); dialog.onclose = null; answer(value); };
    const act = h("button" + (danger ? ".danger" : ".main"), { type: "button", onclick: () => close(true) }, verb);
    const back = h("button", { type: "button", autofocus: true, onclick: () => close(false) }, "Not now");
    const box = h("div.stack", null, h("h2", { id: "dialog-title" }, title), h("div.stack", { id: "dialog-words" }), extra,
      h("div.buttons", null, back, act));
    dialog.replaceChildren(box);
    dialog.onclose = () => answer(false);
    if (!dialog.open) dialog.showModal();
    const say = (lines) => $("#dialog-words")?.replaceChildren(...[lines].flat().map((line) => h("p", null, line)));
    if (typeof words === "function") {
      const bar = h("progress", { "aria-label": "Calendars looked at" }), seen = h("p.small.soft.number", null);
      act.disabled = true;
      $("#dialog-words").replaceChildren(h("p", null, "Looking at the calendars, to tell you exactly what will happen …"), bar, seen);
      const told = (done, all) => { Object.assign(bar, { max: all, value: done }); seen.textContent = all > 1 ? `${number(done)} of ${plural(all, "user")}` : ""; };
      words({ told, isOver: () => !box.isConnected || !dialog.open }).then((lines) => { say(lines); act.disabled = false; },
        (error) => say([`This could not be looked up: ${error.message}`, "Nothing is done before it is known who gets mail. Please try again."]));
    } else say(words);
  });
}

// Runs an act after it was confirmed; trouble is told where one looks.
async function doing(question, act, done) {
  if (!mayOperate()) { trouble("Your account may look, but not act: it lacks the app role Mms.Operate."); return false; }
  if (question && !(await ask(question))) return false;
  try {
    const result = await act();
    if (done) announce(done);
    refresh();
    return result ?? true;
  } catch (error) {
    if (error.status !== 401) trouble(error.message);
    refresh();
    return false;
  }
}

const identityOf = (row) => row.UserId ?? row.UserPrincipalName;

async function retryWords(row, hooks) {
  const plan = await forecast({ identity: identityOf(row), action: "retry" }, hooks);
  if (plan.state === "failed") return ["The cause is still there: " + explained(plan.message ?? "").cause, "Trying again will fail in the same way, and nobody gets mail."];
  return [`${plural(plan.writes, "meeting")} of ${nameOf(row)} would be changed.`, mailWords(plan)];
}

const retryOne = (row) => doing(
  { title: `Try ${nameOf(row)} again?`, words: (hooks) => retryWords(row, hooks), verb: "Try again" },
  () => post(ofUser(identityOf(row), "/retry")), `${nameOf(row)} is being tried again.`);

// What the plans of many users come to, in words.
const sumWords = (sum, first) => [first, sum.failing > 0 && `${plural(sum.failing, "of them", "of them")} would fail: the cause is still there.`,
  sum.refused > 0 && `${plural(sum.refused, "of them", "of them")} cannot be planned: something has changed meanwhile.`,
  `${plural(sum.writes, "meeting")} would be changed.`, mailWords(sum)].filter(Boolean);

// The same where not all of them were planned: what it is at the least.
function partWords(sum, first, planned, count) {
  if (planned >= count) return sumWords(sum, first);
  return [first, ...sumWords(sum, `The calendars of ${number(planned)} of them were looked at, and this is what it comes to for these:`),
    sum.updates > 0 ? `So at least ${plural(sum.recipients, "person gets", "people get")} mail. If the others are like these, it is about ${plural(Math.round(sum.updates * count / planned), "update")} in all.`
      : "The others may differ: how many people they would send mail to is not known."];
}

const MOST_PLANNED = 100; // a plan reads as much as a run does

async function undoWords(wanted, hooks) {
  const plan = await forecast(wanted, { ...hooks, isBrief: false });
  if (plan.state === "failed") return ["This would fail: " + explained(plan.message ?? "").cause, "Nobody will get mail."];
  const stay = plan.meetings.filter((row) => row.verdict === "fail"), edited = stay.filter((row) => row.code === "EditedSince").length;
  return [`${plural(plan.writes, "invitation goes", "invitations go")} back to what ${plan.writes === 1 ? "it was" : "they were"} before the migration, at once.`, mailWords(plan),
    edited > 0 && `${plural(edited, "invitation was", "invitations were")} edited since: left alone, and shown as failed with what was edited.`,
    stay.length > edited && `${plural(stay.length - edited, "meeting")} cannot go back: deleted, or the old meeting was ended.`].filter(Boolean);
}

const undo = (user, eventIds) => doing(
  { title: eventIds ? "Undo the migration of this meeting?" : "Undo the migration?", verb: "Restore", danger: true,
    words: (hooks) => undoWords({ identity: user, action: "undo", ...(eventIds ? { meetings: { eventIds } } : {}) }, hooks) },
  () => post(ofUser(user, "/undo"), eventIds ? { eventIds } : undefined), "Undo has started.");

const cancelOne = (row) => doing(
  { title: `Cancel the migration of ${nameOf(row)}?`, danger: true, verb: "Cancel the migration",
    words: row.State === "Pending" ? ["It waits, and nothing has been changed yet.", "Nobody will get mail."]
      : ["It stops after the meeting in hand. What is migrated stays migrated; undo leads back.", "Nobody will get mail beyond those who already have."] },
  () => post(ofUser(identityOf(row), "/cancel")), `The migration of ${nameOf(row)} is cancelled.`);
