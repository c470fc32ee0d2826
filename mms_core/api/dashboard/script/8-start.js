// Start: first the plan, meeting by meeting, then apply exactly that, or let it wait its time.

// The text of a block as people read it. A parsed document runs nothing and loads nothing.
function readable(markup, contentType = "html") {
  if (contentType === "text") return markup.replace(/[_.\u2026]{20,}/g, "").split("\n").map((line) => line.trim()).filter(Boolean).join("\n");
  const text = [];
  const walk = (node) => {
    if (node.nodeType === 1 && /wingdings/i.test(node.getAttribute("style") ?? "")) return; // an arrow, as a letter
    if (node.nodeType === 3) text.push(node.data.replace(/\s+/g, " "));
    else if (node.nodeName === "BR") text.push("\n");
    else if (!["STYLE", "SCRIPT", "HEAD"].includes(node.nodeName)) {
      const isBlock = ["DIV", "P", "TR", "TABLE", "LI", "H1", "H2", "H3", "HR"].includes(node.nodeName);
      if (isBlock) text.push("\n");
      node.childNodes.forEach(walk);
      if (isBlock) text.push("\n");
    }
  };
  walk(new DOMParser().parseFromString(markup, "text/html").body);
  return text.join("").replace(/[_.\u2026]{20,}|\[!OC\(.*?\)!\]/g, "").split("\n").map((line) => line.trim()).filter(Boolean).join("\n");
}

const block = (title, markup, instead, after, contentType) => h("div.side" + (after ? ".after" : ""), null, h("h3", null, title), markup ? h("pre", null, readable(markup, contentType)) : h("p.soft", null, instead));

const planned = (row) => h("details.meeting", { "data-key": `p-${row.eventId}` },
  h("summary", { "data-key": `ps-${row.eventId}` }, h("span", null, row.subject || "(no subject)"), h("span.state." + row.verdict, null, VERDICTS[row.verdict] ?? "Is current"),
    h("span.small.soft", null, when(row.start), row.recipients.length ? ` · mail to ${plural(row.recipients.length, "person", "people")}` : " · no mail", row.startsWithin15Minutes ? " · starts within 15 minutes" : "")),
  h("div.inside", null, row.code && h("p", null, h("span.mono", null, row.code)),
    h("div.sides", null, block("Block now", row.oldBlock, "No meeting block.", false, row.contentType),
      row.verdict === "migrate" ? block("Block then", row.newBlock, "A new Teams block. Its link is made when the plan is applied.", true, row.contentType) : row.verdict === "refresh" && block("Block then", row.newBlock, "", true, row.contentType)),
    row.notKept.length > 0 && h("p.soft", null, `Not kept: ${row.notKept.join(", ")}.`),
    row.recipients.length > 0 && h("details", { "data-key": `r-${row.eventId}` }, h("summary", null, "Who gets mail"), h("ul", null, row.recipients.map((each) => h("li.breaks", null, each.address, h("span.soft", null, ` ${each.why.join(", ")}`)))))));

function startPage(place, user = "") {
  const identity = h("input", { id: "identity", name: "identity", required: true, value: user, autocomplete: "off", spellcheck: "false", placeholder: "adele@contoso.com" });
  const source = h("select", { id: "source" }, [["All", "Skype and Teams meetings"], ["SfB", "Skype meetings"], ["Teams", "Teams meetings"]].map(([value, word]) => h("option", { value }, word)));
  const target = h("select", { id: "target" }, [["Teams", "Teams meetings"], ["Current", "What they are, refreshed"]].map(([value, word]) => h("option", { value }, word)));
  const wanted = () => ({ identity: identity.value.trim(), sourceMeetingType: source.value, targetMeetingType: target.value });
  const result = h("div", { id: "plan", "aria-live": "polite" });
  const look = async (event) => {
    event.preventDefault();
    result.replaceChildren(h("p.soft", null, "Looking at the calendar …"));
    try {
      const plan = await forecast(wanted(), { isBrief: false });
      result.replaceChildren(planCard(plan));
    } catch (error) { result.replaceChildren(h("p.note", null, error.message)); }
  };
  const later = () => doing({
    title: `Start the migration of ${wanted().identity}?`, verb: "Start",
    words: (hooks) => forecast(wanted(), hooks).then((plan) => plan.state === "failed" ? [explained(plan.message).cause, "Started like this it will fail, and nobody gets mail."]
      : [`${plural(plan.writes, "meeting")} would be changed, after the settling time of ${plural(memory.config?.SettleMinutes ?? 90, "minute")}. Until then it can be cancelled.`, mailWords(plan)]),
  }, async () => {
    const { value: [row] } = await post("migrations", wanted());
    if (row.status === "refused") throw new Problem(0, { title: `Refused: ${row.code}.` });
    location.hash = `#/user/${encodeURIComponent(row.userId ?? row.identity)}`;
  }, "The migration waits for its time.");
  place.replaceChildren(h("h1", null, "Start a migration"),
    h("p.lead", null, "A preview reads the calendar and writes nothing. It shows every meeting with its block, and who would get mail; applying it does exactly that, at once."),
    h("form.form", { onsubmit: look },
      h("div.field", null, h("label", { for: "identity" }, "User"), identity),
      h("div.pair", null, h("div.field", null, h("label", { for: "source" }, "Which meetings"), source), h("div.field", null, h("label", { for: "target" }, "Become"), target)),
      h("div.head", null, h("div.actions", null, h("button.main", { type: "submit", id: "preview" }, "Preview"), h("button", { type: "button", id: "start", onclick: () => identity.reportValidity() && later() }, "Start without looking")))),
    result);
  (user ? $("#preview") : identity).focus({ preventScroll: true });
}

function planCard(plan) {
  if (plan.state === "failed") { const { cause: why, remedy } = explained(plan.message ?? plan.code); return h("p.note", null, why, " ", remedy); }
  const { writes } = plan;
  const apply = () => doing({ title: `Change ${plural(writes, "meeting")} now?`, verb: "Apply the plan",
    words: [`${plural(writes, "meeting")} of ${plan.identity} are changed at once, exactly as shown; what somebody has edited since is left alone.`, mailWords(plan)] },
  async () => { const run = await post(`previews/${plan.id}/apply`); location.hash = `#/user/${encodeURIComponent(run.UserId ?? plan.identity)}`; }, "The plan is being applied.");
  return card(`The plan for ${plan.identity}`, h("span.soft", null, writes ? mailWords(plan) : "Nothing to change, nobody gets mail."),
    (plan.reportOnly || plan.message) && h("div.body.stack", null,
      plan.reportOnly && h("p.note", null, "The policy for this kind of mailbox is to report: the meetings below would be changed, and are not. Settings: SharedMailboxPolicy, RoomMailboxPolicy."),
      plan.message && h("p.note", null, explained(plan.message).cause, " ", explained(plan.message).remedy)),
    plan.meetings.length ? plan.meetings.map(planned) : h("p.empty", null, "There is no future meeting of this kind."),
    writes > 0 && h("div.savebar", null, h("p.soft", null, `${plural(writes, "meeting")} will be changed`), h("button.main", { type: "button", id: "apply", onclick: apply }, "Apply this plan")));
}
