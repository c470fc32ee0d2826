// Elements from values. Text becomes text nodes, never markup: nothing that came from a tenant is parsed as HTML.

const $ = (selector, root = document) => root.querySelector(selector);

function h(name, attributes, ...children) {
  const [tag, ...classes] = name.split(".");
  const element = document.createElement(tag);
  if (classes.length) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "value" || key === "checked") element[key] = value;
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat(9).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

function svg(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

// Puts children into a place, if what they are made from has changed. The focus and open details survive.
function show(place, made, make) {
  const print = JSON.stringify(made);
  if (place.dataset.print === print) return;
  place.dataset.print = print;
  const focus = place.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  const open = new Set([...place.querySelectorAll("details[open]")].map((each) => each.dataset.key));
  place.replaceChildren(...[make()].flat(9).filter(Boolean));
  for (const each of place.querySelectorAll("details")) if (open.has(each.dataset.key)) each.open = true;
  if (focus) place.querySelector(`[data-key="${CSS.escape(focus)}"]`)?.focus({ preventScroll: true });
}

const announce = (text) => { $("#announcer").textContent = text; };

let troubleTimer = 0;
function trouble(text) {
  $("#trouble").textContent = text;
  clearTimeout(troubleTimer);
  if (text) troubleTimer = setTimeout(() => { $("#trouble").textContent = ""; }, 9000);
}

// -- words -----------------------------------------------------------------------------------------------------------

const STATES = ["Pending", "InProgress", "Failed", "Succeeded", "Skipped", "Cancelled"];
const FINAL = ["Failed", "Succeeded", "Skipped", "Cancelled"];
// Such runs only stand for a message of the tenant: there is nothing to try again.
const MESSAGES = ["TenantMessageFailed", "MessageReplayed"];
const STATE_WORDS = { InProgress: "In progress" };
const stateWord = (state) => STATE_WORDS[state] ?? state;
const stateMark = (state) => h("span.state." + state, null, stateWord(state));
const number = (value) => value.toLocaleString();
const plural = (count, one, many = one + "s") => `${number(count)} ${count === 1 ? one : many}`;

const SHORT = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });
const LONG = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });
const DAY = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" });

function when(text) {
  if (!text) return h("span.soft", null, "–");
  const at = new Date(text);
  return h("time", { datetime: at.toISOString(), title: LONG.format(at) }, SHORT.format(at));
}

function lasting(milliseconds) {
  const seconds = Math.round(Math.abs(milliseconds) / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 90) return `${minutes} min`;
  const hours = minutes / 60;
  return hours < 36 ? `${hours.toFixed(hours < 10 ? 1 : 0)} h` : `${Math.round(hours / 24)} days`;
}

function due(text) {
  const wait = new Date(text) - Date.now();
  return wait <= 1000 ? "due now" : `in ${lasting(wait)}`;
}

// The total leaves out what is skipped.
const endedOf = (row) => row.SucceededMeeting + row.FailedMeeting;
const nameOf = (row) => row.UserPrincipalName ?? row.UserId ?? "unknown";
const userLink = (row) => h("a.breaks", { href: `#/user/${encodeURIComponent(row.UserId ?? row.UserPrincipalName)}` }, nameOf(row));

const KINDS = { SfbToSfb: "Skype, refreshed", SfbToTeams: "Skype to Teams", TeamsToTeams: "Teams, refreshed",
  AllToTeams: "All to Teams", ToSameType: "Refreshed", Unknown: "Undo" };
const kindWord = (kind) => KINDS[kind] ?? kind;

// "W2 MailboxMissing: the cause. Remedy: the remedy." is how the service explains a code.
function explained(message) {
  const [cause, remedy = ""] = message.split(" Remedy: ");
  return { cause: cause.replace(/^(?:[A-Z]\d+ )?\w+: /, ""), remedy };
}
