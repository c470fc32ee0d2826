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
    if (words instanceof Promise) {
      act.disabled = true;
      say("Looking at the calendar, to tell you exactly what will happen …");
      words.then((lines) => { say(lines); act.disabled = false; },
        (error) => { say([`This could not be looked up: ${error.message}`, "Everybody invited to a meeting that is changed gets one update."]); act.disabled = false; });
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

async function retryWords(row) {
  const plan = await forecast(row.UserId ?? row.UserPrincipalName, ...typesOf(row.MigrationType));
  if (plan.state === "failed") return ["The cause is still there: " + explained(plan.message ?? "").cause, "Trying again will fail in the same way, and nobody gets mail."];
  return [`${plural(willWrite(plan).length, "meeting")} of ${nameOf(row)} would be changed.`, mailWords(plan)];
}

const retryOne = (row) => doing(
  { title: `Try ${nameOf(row)} again?`, words: retryWords(row), verb: "Try again" },
  () => post(ofUser(row.UserId ?? row.UserPrincipalName, "/retry")), `${nameOf(row)} is being tried again.`);

const cancelOne = (row) => doing(
  { title: `Cancel the migration of ${nameOf(row)}?`, danger: true, verb: "Cancel the migration",
    words: row.State === "Pending" ? ["It waits, and nothing has been changed yet.", "Nobody will get mail."]
      : ["It stops after the meeting in hand. What is migrated stays migrated; undo leads back.", "Nobody will get mail beyond those who already have."] },
  () => post(ofUser(row.UserId ?? row.UserPrincipalName, "/cancel")), `The migration of ${nameOf(row)} is cancelled.`);
