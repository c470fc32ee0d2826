// Settings under the names that scripts use. The description of the API says which values each takes.

const ABOUT = {
  MeetingMigrationEnabled: "Everything is off without it: nothing starts, and what waits or runs stops before its next write.",
  AutomaticallyMigrateUserMeetings: "React to changes of licence and audio conferencing.",
  AutomaticallyReplaceAcpProvider: "Replace the dial-in of other audio conferencing providers.",
  AutomaticallySendEmailsToUsers: "Tell organizers before and after.",
  SettleMinutes: "Minutes that a request waits for others to join it.",
  MaximumWaitMinutes: "Minutes after which it starts even if triggers keep coming.",
  MaximumAttendees: "Meetings with more people are skipped.",
  IncludeSecondaryCalendars: "Look at users' further calendars too.",
  MoveWithoutMoveToTeams: "What meetings become when a user moves without -MoveToTeams.",
  MaintenanceDays: "Days on which calendars may be written, like Mon-Fri. Empty: every day.",
  MaintenanceHours: "Hours, like 22:00-06:00. Empty: the whole day.",
  MaintenanceTimeZone: "The zone of these days and hours, like Europe/Berlin.",
  AdmissionUsersPerMinute: "Users of a large list that become due in the same minute; 0 for all at once.",
  RecipientsPerDay: "Recipients outside the organization in 24 hours; 0 for no limit.",
  MailboxRecipientsPerDay: "Recipients of one organizer's updates in 24 hours; 0 for no limit.",
  RetentionDays: "Days after which ended runs are exported and removed.",
  PilotPercentage: "Share of users for whom triggers act by themselves.",
};
const GROUPS = [
  ["General", (name) => /Enabled$|^Automatically|^Move|^Include|Attendees$/.test(name)],
  ["Time", (name) => /^(Settle|MaximumWait|Maintenance|Admission|Retention)|^Claim/.test(name)],
  ["Who", (name) => /^(Allowed|Denied|Pilot)/.test(name)],
  ["Mail", (name) => /^(Notice|Recipients|FailureDigest)/.test(name)],
  ["Triggers", (name) => /^Trigger/.test(name)],
  ["Others", () => true],
];
const spaced = (name) => name.replace(/([a-z])([A-Z])/g, "$1 $2").replace(/^./, (first) => first.toUpperCase());

function control(name, kind, value) {
  const id = `set-${name}`;
  if (kind.type === "boolean") return h("input", { id, type: "checkbox", checked: value });
  if (kind.enum) return h("select", { id }, kind.enum.map((word) => h("option", { value: word, selected: word === value }, word)));
  if (kind.type === "array") return h("textarea", { id, rows: Math.min(8, Math.max(2, value.length)), value: value.join("\n") });
  if (kind.type === "string" && /Body$/.test(name)) return h("textarea", { id, rows: 3, value });
  if (kind.type === "string") return h("input", { id, value, spellcheck: "false" });
  return h("input", { id, type: "number", min: kind.minimum, max: kind.maximum, step: 1, value: value ?? "", placeholder: Array.isArray(kind.type) ? "as usual" : undefined, required: !Array.isArray(kind.type) });
}

function valueOf(field, kind) {
  if (kind.type === "boolean") return field.checked;
  if (kind.type === "array") return field.value.split("\n").map((line) => line.trim()).filter(Boolean);
  if (kind.type === "string") return field.value;
  return field.value === "" ? null : Number(field.value);
}

// What those who wait were asked for, as far as their kind tells.
const WISHES = { SfbToSfb: ["SfB", "Current"], SfbToTeams: ["SfB", "Teams"], TeamsToTeams: ["Teams", "Teams"], AllToTeams: ["All", "Teams"], ToSameType: ["All", "Current"] };

async function waitingWords(hooks) {
  const { value: counts } = await get("migrations?summaryOnly=true"), count = counts.find((row) => row.State === "Pending").UserCount;
  const rows = count ? (await get(`migrations?state=Pending&orderBy=due&top=${MOST_PLANNED}`)).value : [];
  const sum = await forecastAll(rows.map((row) => {
    const [sourceMeetingType, targetMeetingType] = WISHES[row.MigrationType] ?? [];
    return { identity: identityOf(row), ...(sourceMeetingType ? { sourceMeetingType, targetMeetingType } : { action: "undo" }) };
  }), hooks);
  return partWords(sum, `${plural(count, "user waits", "users wait")}: who is due starts at once, the others when they are due.`, rows.length, count);
}

async function settingsPage(place) {
  const [{ document: now, etag }, description] = await Promise.all([api("GET", "config"), get("openapi.json")]);
  const kinds = description.components.schemas.Settings.properties;
  const names = Object.keys(kinds), left = new Set(names);
  const changes = () => Object.fromEntries(names.map((name) => [name, valueOf($(`#set-${name}`), kinds[name])]).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(now[name])));
  const bar = h("div.savebar", { hidden: true });
  const update = () => {
    const changed = changes(), count = Object.keys(changed).length;
    for (const name of names) $(`#row-${name}`).classList.toggle("changed", name in changed);
    bar.hidden = count === 0;
    bar.replaceChildren(h("p.soft", { role: "status" }, plural(count, "change")), h("button", { type: "button", onclick: () => settingsPage(place) }, "Discard"), h("button.main", { type: "submit" }, "Save"));
  };
  const words = (changed, started = []) => {
    const lines = Object.entries(changed).map(([name, value]) => `${name}: ${JSON.stringify(now[name])} becomes ${JSON.stringify(value)}`);
    const more = started.length ? started : changed.MeetingMigrationEnabled === false ? ["Everything stops before its next write. Nobody gets mail until it is on again."]
      : ["Effective at once, for what waits already too. Changing settings sends no mail by itself."];
    return [...lines.slice(0, 8), lines.length > 8 && `and ${lines.length - 8} more`, ...more].filter(Boolean);
  };
  const save = async (event) => {
    event.preventDefault();
    const changed = changes();
    const done = await doing({ title: `Change ${plural(Object.keys(changed).length, "setting")}?`, words: changed.MeetingMigrationEnabled ? async (hooks) => words(changed, await waitingWords(hooks)) : words(changed), verb: "Save", danger: changed.MeetingMigrationEnabled === false },
      () => api("PATCH", "config", changed, { "If-Match": etag }), "Settings are saved.");
    if (done) { await config(); await settingsPage(place); }
  };
  const row = (name) => {
    left.delete(name);
    const kind = kinds[name], text = kind.type === "string" || kind.type === "array" || kind.enum;
    return h("div.setting" + (text ? ".text" : "") + (kind.type === "array" || /Body$/.test(name) ? ".long" : ""), { id: `row-${name}` },
      h("div.stack", null, h("label", { for: `set-${name}` }, spaced(name)), ABOUT[name] && h("span.small.soft", null, ABOUT[name]), h("span.small.soft.mono", null, name)), control(name, kind, now[name]));
  };
  place.replaceChildren(h("h1", null, "Settings"), h("form.card", { onsubmit: save, oninput: update },
    GROUPS.map(([title, holds], index) => {
      const own = names.filter((name) => left.has(name) && holds(name));
      const rows = own.map(row);
      return own.length ? h("details", { "data-key": `g-${title}`, open: index === 0 }, h("summary.group", null, h("h2", null, title)), rows) : null;
    }), bar));
  if (!mayOperate()) place.prepend(h("p.note", null, "You may look at the settings; changing them needs the app role Mms.Operate."));
}
