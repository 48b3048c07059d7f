// Starts the page: the sign-in, or the page of who is signed in.
import { html, render } from "../vendor/preact.js";
import { sessionStore, startSession } from "./session.js";
import { Shell } from "./shell.js";
import { SignIn } from "./sign_in/sign_in_view.js";
import { useStore } from "./signals.js";
import { Notice, Spinner } from "./ui/states.js";

function Page() {
  const { state, problem } = useStore(sessionStore);
  if (state === "in") return html`<${Shell} />`;
  if (state === "out") return html`<${SignIn} problem=${problem} />`;
  if (state === "away") return html`<main class="sign-in"><${Notice} kind="warning" problem=${problem} /><${Spinner} label="Trying again" /></main>`;
  return html`<${Spinner} />`;
}

const place = document.getElementById("page");
startSession().then(() => {
  place.replaceChildren();
  render(html`<${Page} />`, place);
});
