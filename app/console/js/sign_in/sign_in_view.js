import { html, useEffect, useState } from "../../vendor/preact.js";
import { toProblem } from "../api.js";
import { signIn } from "../session.js";
import { beginSignIn, oidcSettings } from "./oidc.js";
import { Button } from "../ui/button.js";
import { Checkbox, Field, TextInput } from "../ui/fields.js";
import { Notice } from "../ui/states.js";

const MARK = new URL("../../icon.svg", import.meta.url).href;

/** Sign in at the service's issuer, if it has one, or with an API key or a token. `problem` says why the session before has ended. */
export default function SignIn({ problem: before }) {
  const [secret, setSecret] = useState("");
  const [kept, setKept] = useState(false);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState(null);
  useEffect(() => {
    document.title = "Sign in · AI Agents";
  }, []);
  const submit = async (event) => {
    event.preventDefault();
    const value = secret.trim();
    if (!value || busy) return;
    setBusy(true);
    setProblem(null);
    try {
      await signIn(value, { kept });
    } catch (error) {
      setProblem(toProblem(error));
      setBusy(false);
    }
  };
  const goToIssuer = async () => {
    setBusy(true);
    setProblem(null);
    try {
      await beginSignIn({ kept });
    } catch (error) {
      setProblem(toProblem(error));
      setBusy(false);
    }
  };
  const issuer = oidcSettings();
  const keep = html`<${Checkbox} label="Keep me signed in" help="On this browser, until you sign out. Otherwise until its tabs are closed." checked=${kept} onChange=${setKept} />`;
  const unknown = problem?.status === 401 ? `${problem.title}. ${problem.detail}` : "";
  return html`<main class="sign-in">
    <div class="sign-in-head">
      <img class="sign-in-mark" src=${MARK} alt="" width="40" height="40" />
      <h1>Sign in to AI Agents</h1>
      <p class="muted">Agents that answer, remember and use tools.</p>
    </div>
    <${Notice} kind="warning" problem=${before} />
    <${Notice} problem=${problem && !unknown ? problem : null} />
    ${issuer && html`<div class="stack">
      ${keep}
      <${Button} kind="primary" wide busy=${busy} icon="log-in" onClick=${goToIssuer}>Sign in at ${new URL(issuer.issuer).host}<//>
      <p class="or">or</p>
    </div>`}
    <form onSubmit=${submit}>
      <${Field} label="API key or token" help="An admin makes one for you. On the machine of the service the first one is in var/admin.key." error=${unknown}>
        <${TextInput} type="password" mono value=${secret} onInput=${setSecret} autocomplete="current-password" spellcheck=${false} required autofocus />
      <//>
      ${!issuer && keep}
      <${Button} kind=${issuer ? "secondary" : "primary"} type="submit" wide busy=${busy}>Sign in<//>
    </form>
  </main>`;
}
