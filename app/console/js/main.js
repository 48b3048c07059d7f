// Starts the page: the sign-in, or the page of who is signed in.
import { html, render } from "../vendor/preact.js";
import { toProblem } from "./api.js";
import { sessionStore, startSession } from "./session.js";
import { Shell } from "./shell.js";
import { signInByLink, takeToken } from "./sign_in/link.js";
import { useStore } from "./signals.js";
import { Lazy } from "./ui/lazy.js";
import { Notice, Spinner } from "./ui/states.js";
// The chat is what most visits are for, so it comes with the page.
import "./chat/thread_view.js";

function Page() {
  const { state, problem } = useStore(sessionStore);
  if (state === "in") return html`<${Shell} />`;
  if (state === "out") return html`<${Lazy} load=${() => import("./sign_in/sign_in_view.js")} problem=${problem} />`;
  if (state === "away") return html`<main class="sign-in"><${Notice} kind="warning" problem=${problem} /><${Spinner} label="Trying again" /></main>`;
  return html`<${Spinner} />`;
}

async function start() {
  const token = takeToken();
  let problem = null;
  if (token) problem = await signInByLink(token).then(() => null, toProblem);
  if (document.querySelector('meta[name="ai-agents-oidc"]')) {
    const oidc = await import("./sign_in/oidc.js");
    oidc.keepRenewed();
    if (oidc.isAnswer()) problem = await oidc.finishSignIn().then(() => null, toProblem);
  }
  if (sessionStore.get().state !== "in") await startSession(problem);
  const place = document.getElementById("page");
  place.replaceChildren();
  render(html`<${Page} />`, place);
}

start();
