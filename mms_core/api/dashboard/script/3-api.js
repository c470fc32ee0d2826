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
async function forecast(wanted, { patience = 60000, isBrief = true, isOver = () => false } = {}) {
  const { id } = await post("previews", wanted);
  for (const end = Date.now() + patience, from = Date.now(); Date.now() < end && !isOver();) {
    const plan = await get(`previews/${id}${isBrief ? "?summaryOnly=true" : ""}`);
    // Where the policy is to report, the plan says what would be done, and nothing is.
    if (plan.state !== "pending") return plan.reportOnly ? { ...plan, writes: 0, updates: 0, recipients: 0, mailTo: [] } : plan;
    await new Promise((done) => setTimeout(done, Math.min(2000, 400 + (Date.now() - from) / 10)));
  }
  throw new Problem(0, { title: "The preview takes longer than a minute; look at it later." });
}

// The same for many users: the plans, and what they come to. Somebody invited by two of them is one person.
async function forecastAll(wishes, { told, isOver }) {
  const plans = [], left = [...wishes], people = new Set();
  let refused = 0;
  const work = async () => {
    for (let wish = left.shift(); wish && !isOver(); wish = left.shift()) {
      try { plans.push(await forecast(wish, { patience: 600000, isOver })); } catch (error) {
        if (error.status !== 404 && error.status !== 409) throw error;
        refused += 1;
      }
      told(plans.length + refused, wishes.length);
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, wishes.length) }, work));
  for (const plan of plans) for (const address of plan.mailTo) people.add(address);
  const sum = (of) => plans.reduce((total, plan) => total + of(plan), 0);
  return { failing: plans.filter((plan) => plan.state === "failed").length, refused, writes: sum((plan) => plan.writes),
    updates: sum((plan) => plan.updates), recipients: people.size };
}

const AT_ONCE = 6;
const mailWords = (plan) => plan.updates
  ? `${plural(plan.recipients, "person", "people")} will get mail, ${plural(plan.updates, "update")} in all.`
  : "Nobody will get mail.";
