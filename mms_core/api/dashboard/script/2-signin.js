// Who we are: a token from the address (local), pasted, or from Entra by authorization code with PKCE. It stays in this tab.

const entra = JSON.parse(document.body.dataset.signIn || "null");
const kept = {
  get token() { return sessionStorage.getItem("mms.token"); },
  set token(text) { if (text) sessionStorage.setItem("mms.token", text); else sessionStorage.removeItem("mms.token"); },
};

const base64url = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes))).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));
const here = () => location.origin + location.pathname;

async function goToEntra() {
  const [verifier, state] = [random(), random()];
  sessionStorage.setItem("mms.signin", JSON.stringify({ verifier, state, back: location.hash }));
  const challenge = base64url(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier)));
  location.assign(`${entra.authority}/authorize?` + new URLSearchParams({
    client_id: entra.clientId, response_type: "code", redirect_uri: here(), response_mode: "query", scope: entra.scope,
    state, code_challenge: challenge, code_challenge_method: "S256",
  }));
}

async function comeBack() {
  const query = new URLSearchParams(location.search);
  if (!query.has("code") && !query.has("error")) return;
  const asked = JSON.parse(sessionStorage.getItem("mms.signin") ?? "null");
  sessionStorage.removeItem("mms.signin");
  history.replaceState(null, "", location.pathname + (asked?.back ?? ""));
  if (query.has("error")) throw new Error(query.get("error_description") ?? query.get("error"));
  if (!asked || asked.state !== query.get("state")) throw new Error("This sign-in was not begun in this tab. Please try again.");
  const answer = await fetch(`${entra.authority}/token`, { method: "POST", body: new URLSearchParams({
    client_id: entra.clientId, grant_type: "authorization_code", code: query.get("code"), redirect_uri: here(),
    code_verifier: asked.verifier, scope: entra.scope,
  }) });
  const document = await answer.json();
  if (!answer.ok) throw new Error(document.error_description ?? "The sign-in service refused.");
  kept.token = document.access_token;
}

// The address bar and the history must not keep the token.
function takeFromAddress() {
  const found = /^#token=([\w.~-]+)$/.exec(location.hash);
  if (!found) return;
  kept.token = found[1];
  history.replaceState(null, "", location.pathname + location.search + "#/");
}

function claims() {
  try { return JSON.parse(atob(kept.token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"))); } catch { return {}; }
}
const mayOperate = () => (claims().roles ?? []).includes("Mms.Operate");

function gate(why) {
  $("#top").hidden = true;
  const field = h("input", { id: "token", name: "token", autocomplete: "off", spellcheck: "false", required: true });
  const paste = h("form.stack", { onsubmit: (event) => { event.preventDefault(); kept.token = field.value.trim(); begin(); } },
    h("label", { for: "token" }, entra ? "Or paste a bearer token" : "Bearer token"), field,
    h("div", null, h("button" + (entra ? "" : ".main"), { type: "submit" }, "Sign in with it")));
  $("#main").dataset.print = "";
  $("#main").replaceChildren(h("section.gate", null,
    h("h1", null, "Meeting Migration"),
    why && h("p.note", null, why),
    h("p.lead", null, "Sign in with an account that has the app role Mms.Read to look, or Mms.Operate to act."),
    entra && h("div", null, h("button.main", { type: "button", onclick: goToEntra }, "Sign in with Microsoft")),
    paste));
}
