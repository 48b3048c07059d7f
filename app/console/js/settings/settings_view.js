// One's own settings: the look, credentials of tools, keys and tokens, and what is left of one's limits.
import { html, useState } from "../../vendor/preact.js";
import { isForSomeAgents } from "../agents/access.js";
import { Segments } from "../admin/segments.js";
import { session } from "../session.js";
import { chooseTheme, chosenTheme } from "../theming.js";
import { CopyButton } from "../ui/copy_button.js";
import { Badge, Notice } from "../ui/states.js";
import { Credentials } from "./credentials.js";
import { Keys } from "./keys.js";
import { Limits } from "./limits.js";
import { Tokens } from "./tokens.js";

const THEMES = [
  { value: "light", label: "Light" },
  { value: "dark", label: "Dark" },
  { value: "system", label: "As the system" },
];

export default function SettingsView() {
  const [theme, setTheme] = useState(chosenTheme);
  const choose = (value) => {
    chooseTheme(value);
    setTheme(value);
  };
  return html`
    <div class="page page-narrow">
      <header class="page-head"><h1>Settings</h1></header>
      <section class="stack stack-tight" aria-label="Who you are">
        <p class="row">You are <strong dir="auto">${session.me.user_id}</strong> <${CopyButton} text=${session.me.user_id} label="Copy your id" /> ${session.isAdmin && html`<${Badge} kind="accent">Admin<//>`}</p>
        <p class="section-help">Others share with you by this id.</p>
      </section>
      <section class="form-section" aria-labelledby="title-look">
        <h2 id="title-look">Look</h2>
        <${Segments} label="Theme" options=${THEMES} value=${theme} onChange=${choose} />
      </section>
      ${isForSomeAgents() ? html`<${Notice}>You are signed in with a token that is for some agents. Keys, credentials and limits are seen with a key.<//>` : html`
        <${Credentials} />
        <${Keys} />
        <${Tokens} />
        <${Limits} />`}
    </div>`;
}
