// The API, with the token. Problems become errors that carry their code, and say what to do.

class Problem extends Error {
  constructor(status, document) {
    super(document.remedy ? `${document.title} ${document.remedy}` : document.title ?? `The service answered ${status}.`);
    Object.assign(this, { status, code: document.code ?? "", detail: document.detail ?? "", field: document.field });
  }
}

async function api(method, path, body, headers = {}) {
  const options = { method, headers: { Authorization: `Bearer ${kept.token}`, ...headers }, cache: "no-store" };
  if (body !== undefined) { options.body = JSON.stringify(body); options.headers["Content-Type"] = "application/json"; }
  if (method === "POST") options.headers["Idempotency-Key"] ??= random();
  let answer;
  try { answer = await fetch(path, options); } catch { throw new Problem(0, { title: "The service does not answer." }); }
  const document = await answer.json().catch(() => ({}));
  if (answer.status === 401) { kept.token = ""; gate("Your sign-in is no longer valid."); throw new Problem(401, document); }
  if (!answer.ok) throw new Problem(answer.status, document);
  return { document, etag: answer.headers.get("ETag") };
}

const get = async (path) => (await api("GET", path)).document;
const post = async (path, body) => (await api("POST", path, body)).document;
const ofUser = (user, rest = "") => `migrations/${encodeURIComponent(user)}${rest}`;

// Says what an action will do by making a dry run first: nothing is written, and the numbers are exact.
async function forecast(identity, source, target, { patience = 60000 } = {}) {
  const { id } = await post("previews", { identity, sourceMeetingType: source, targetMeetingType: target });
  for (const end = Date.now() + patience; Date.now() < end;) {
    const plan = await get(`previews/${id}`);
    if (plan.state !== "pending") return plan;
    await new Promise((done) => setTimeout(done, 500));
  }
  throw new Problem(0, { title: "The preview takes longer than a minute; look at it later." });
}

const TYPES = { SfbToSfb: ["SfB", "Current"], SfbToTeams: ["SfB", "Teams"], TeamsToTeams: ["Teams", "Teams"], AllToTeams: ["All", "Teams"] };
const typesOf = (kind) => TYPES[kind] ?? ["All", "Current"];
const willWrite = (plan) => plan.meetings.filter((each) => ["migrate", "refresh"].includes(each.verdict));
const mailWords = (plan) => plan.recipients
  ? `${plural(plan.recipients, "person", "people")} will get mail, ${plural(plan.updates, "update")} in all.`
  : "Nobody will get mail.";
